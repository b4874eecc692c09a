// Inputs and weights of a row in one word, the weights above; a valid bit beside the sum. Masked
// takes masked_row, else it is weighted_row.
module weighted_row_bench #(
  parameter int Inputs      = 4,
  parameter int Width       = 1,
  parameter bit Signed      = 1'b0,
  parameter int WeightWidth = 2,
  parameter int SumWidth    = 3,
  parameter int Levels      = 2,
  parameter bit Masked      = 1'b0,
  parameter bit Adders      = 1'b0,
  parameter bit Dsp         = 1'b0,
  parameter int Latency     = 1
) (
  input  logic                                      clk_i,
  input  logic                                      rst_ni,
  input  logic                                      valid_i,
  input  logic [Inputs*(Width+WeightWidth)-1:0]     data_i,
  output logic                                      valid_o,
  output logic [SumWidth-1:0]                       data_o
);
  logic [Inputs*Width-1:0] planes;

  hwbnn_valid_line #(.Stages(Latency)) u_valid (.clk_i, .rst_ni, .valid_i, .valid_o);
  hwbnn_bit_planes #(
    .Inputs(Inputs), .Width(Width), .Signed(Signed)
  ) u_planes (.data_i(data_i[Inputs*Width-1:0]), .planes_o(planes));

  if (Masked) begin : gen_masked
    hwbnn_masked_row #(
      .Inputs(Inputs), .Width(Width), .SumWidth(SumWidth), .Levels(Levels), .Adders(Adders)
    ) u_row (
      .clk_i, .planes_i(planes), .weights_i(data_i[Inputs*Width +: Inputs*2]), .sum_o(data_o)
    );
  end else begin : gen_weighted
    hwbnn_weighted_row #(
      .Inputs(Inputs), .Width(Width), .WeightWidth(WeightWidth), .SumWidth(SumWidth),
      .Levels(Levels), .Products(Adders), .Dsp(Dsp)
    ) u_row (
      .clk_i, .planes_i(planes), .weights_i(data_i[Inputs*Width +: Inputs*WeightWidth]),
      .sum_o(data_o)
    );
  end
endmodule
