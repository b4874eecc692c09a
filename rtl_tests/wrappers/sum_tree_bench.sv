// A valid bit beside the sum, as many stages long as sum_tree's header says.
module sum_tree_bench #(
  parameter int Inputs   = 4,
  parameter int Width    = 3,
  parameter int SumWidth = 5,
  parameter int Levels   = 2,
  parameter int Before   = 0,
  parameter int Latency  = 1
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,
  input  logic                    valid_i,
  input  logic [Inputs*Width-1:0] data_i,
  output logic                    valid_o,
  output logic [SumWidth-1:0]     data_o
);
  hwbnn_valid_line #(.Stages(Latency)) u_valid (.clk_i, .rst_ni, .valid_i, .valid_o);
  hwbnn_sum_tree #(
    .Inputs(Inputs), .Width(Width), .SumWidth(SumWidth), .Levels(Levels), .Before(Before)
  ) u_tree (.clk_i, .data_i, .sum_o(data_o));
endmodule
