// A valid bit beside the multiple, as many stages long as multiple's header says.
module multiple_bench #(
  parameter int Width    = 3,
  parameter int OutWidth = 6,
  parameter int Count    = 2,
  parameter int Levels   = 2,
  parameter int Latency  = 1,
  parameter logic [8*Count-1:0] Terms = '0
) (
  input  logic                clk_i,
  input  logic                rst_ni,
  input  logic                valid_i,
  input  logic [Width-1:0]    data_i,
  output logic                valid_o,
  output logic [OutWidth-1:0] data_o
);
  hwbnn_valid_line #(.Stages(Latency)) u_valid (.clk_i, .rst_ni, .valid_i, .valid_o);
  hwbnn_multiple #(
    .Width(Width), .OutWidth(OutWidth), .Count(Count), .Levels(Levels), .Terms(Terms)
  ) u_multiple (.clk_i, .data_i, .data_o);
endmodule
