// A valid bit beside the sum, as many stages long as column_sum's header says.
module column_sum_bench #(
  parameter int Columns  = 2,
  parameter int Bits     = 4,
  parameter int SumWidth = 3,
  parameter int Levels   = 2,
  parameter int Tallest  = 3,
  parameter int Latency  = 1,
  parameter logic [32*Columns-1:0] Heights = '0
) (
  input  logic                clk_i,
  input  logic                rst_ni,
  input  logic                valid_i,
  input  logic [Bits-1:0]     data_i,
  output logic                valid_o,
  output logic [SumWidth-1:0] data_o
);
  hwbnn_valid_line #(.Stages(Latency)) u_valid (.clk_i, .rst_ni, .valid_i, .valid_o);
  hwbnn_column_sum #(
    .Columns(Columns), .Bits(Bits), .SumWidth(SumWidth), .Levels(Levels), .Tallest(Tallest),
    .Heights(Heights)
  ) u_sum (.clk_i, .bits_i(data_i), .sum_o(data_o));
endmodule
