// SPDX-License-Identifier: Apache-2.0
// One row of a matrix product with weights of -1, 0 and +1: the raw sum of dot_row over those
// inputs whose weight is not 0. A weight is two bits in two's complement: the low one says whether
// it counts, the high one whether it is -1.
//
//   raw = sum of weight * u + minus * (2^Width - 1)
//
// with minus the number of -1 in the row. Either every bit plane is matched, masked and counted and
// the counts are added (planes), or the terms are (adders).
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
  localparam int CountWidth = $clog2(Inputs + 1);

`ifndef __ICARUS__  // which has no elaboration tasks
  if (SumWidth < CountWidth) begin : gen_error
    $error("hwbnn_masked_row: SumWidth %0d does not hold a count of %0d inputs", SumWidth, Inputs);
  end
`endif

  logic [Width*Inputs-1:0] matched;

  for (genvar b = 0; b < Width; b++) begin : gen_plane
    for (genvar i = 0; i < Inputs; i++) begin : gen_bit
      assign matched[b*Inputs + i] = (planes_i[b*Inputs + i] ^ weights_i[2*i + 1]) & weights_i[2*i];
    end
  end

  if (Adders) begin : gen_adders
    logic [Inputs*Width-1:0] terms;

    for (genvar i = 0; i < Inputs; i++) begin : gen_term
      for (genvar b = 0; b < Width; b++) begin : gen_bit
        assign terms[i*Width + b] = matched[b*Inputs + i];
      end
    end

    hwbnn_sum_tree #(
      .Inputs(Inputs),
      .Width(Width),
      .SumWidth(SumWidth),
      .Levels(Levels)
    ) u_sum (
      .clk_i,
      .data_i(terms),
      .sum_o
    );
  end else begin : gen_planes
    logic [Width*SumWidth-1:0] counts;

    for (genvar b = 0; b < Width; b++) begin : gen_plane
      logic [CountWidth-1:0] count;

      hwbnn_popcount #(
        .Inputs(Inputs),
        .Levels(Levels)
      ) u_popcount (
        .clk_i,
        .bits_i(matched[b*Inputs +: Inputs]),
        .count_o(count)
      );

      assign counts[b*SumWidth +: SumWidth] = SumWidth'(count) << b;
    end

    hwbnn_sum_tree #(
      .Inputs(Width),
      .Width(SumWidth),
      .SumWidth(SumWidth),
      .Levels(Levels)
    ) u_sum (
      .clk_i,
      .data_i(counts),
      .sum_o
    );
  end
endmodule
