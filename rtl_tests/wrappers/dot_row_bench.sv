// Inputs and weights of a row in one word, the weights above; a valid bit beside the sum, as many
// stages long as dot_row's header says. Signed inputs go through bit_planes as in the products.
module dot_row_bench #(
  parameter int Inputs   = 4,
  parameter int Width    = 1,
  parameter bit Signed   = 1'b0,
  parameter int SumWidth = 3,
  parameter int Levels   = 2,
  parameter bit Adders   = 1'b0,
  parameter bit Varying  = 1'b0,
  parameter int Latency  = 1
) (
  input  logic                          clk_i,
  input  logic                          rst_ni,
  input  logic                          valid_i,
  input  logic [Inputs*(Width+1)-1:0]   data_i,
  output logic                          valid_o,
  output logic [SumWidth-1:0]           data_o
);
  logic [Inputs*Width-1:0] planes;

  hwbnn_valid_line #(.Stages(Latency)) u_valid (.clk_i, .rst_ni, .valid_i, .valid_o);
  hwbnn_bit_planes #(
    .Inputs(Inputs), .Width(Width), .Signed(Signed)
  ) u_planes (.data_i(data_i[Inputs*Width-1:0]), .planes_o(planes));
  hwbnn_dot_row #(
    .Inputs(Inputs), .Width(Width), .SumWidth(SumWidth), .Levels(Levels),
    .Adders(Adders), .Varying(Varying)
  ) u_row (
    .clk_i, .planes_i(planes), .weights_i(data_i[Inputs*Width +: Inputs]), .sum_o(data_o)
  );
endmodule
