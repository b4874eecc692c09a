// SPDX-License-Identifier: Apache-2.0
// One row of a matrix product with weights of -1, 0 and +1: the raw sum of dot_row over those
// inputs whose weight is not 0. A weight is two bits in two's complement: the low one says whether
// it counts, the high one whether it is -1.
//
//   raw = sum of weight * u + minus * (2^Width - 1)
//
// with minus the number of -1 in the row. Inputs are complemented and masked here; dot_row sums them
// under weights that are all 1.
//
// Latency: that of dot_row.

module hwbnn_masked_row #(
  parameter int Inputs   = 4,
  parameter int Width    = 1,  // bits of an input
  parameter int SumWidth = 3,  // bits of the raw sum
  parameter int Levels   = 2,
  parameter bit Adders   = 1'b0
) (
  input  logic                    clk_i,
  input  logic [Width*Inputs-1:0] planes_i,
  input  logic [2*Inputs-1:0]     weights_i,
  output logic [SumWidth-1:0]     sum_o
);
  logic [Width*Inputs-1:0] matched;

  for (genvar b = 0; b < Width; b++) begin : gen_plane
    for (genvar i = 0; i < Inputs; i++) begin : gen_bit
      assign matched[b*Inputs + i] = (planes_i[b*Inputs + i] ^ weights_i[2*i + 1]) & weights_i[2*i];
    end
  end

  hwbnn_dot_row #(
    .Inputs(Inputs),
    .Width(Width),
    .SumWidth(SumWidth),
    .Levels(Levels),
    .Adders(Adders)
  ) u_sum (
    .clk_i,
    .planes_i(matched),
    .weights_i({Inputs{1'b1}}),
    .sum_o
  );
endmodule
