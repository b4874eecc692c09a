// Both lines side by side, so that data and valid can be compared.
module delay_line_bench #(
  parameter int Width  = 1,
  parameter int Stages = 1
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             valid_i,
  input  logic [Width-1:0] data_i,
  output logic             valid_o,
  output logic [Width-1:0] data_o
);
  hwbnn_valid_line #(.Stages(Stages)) u_valid (.clk_i, .rst_ni, .valid_i, .valid_o);
  hwbnn_delay_line #(.Width(Width), .Stages(Stages)) u_data (.clk_i, .data_i, .data_o);
endmodule
