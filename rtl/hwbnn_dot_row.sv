// SPDX-License-Identifier: Apache-2.0
// One row of a matrix product: the sum over all inputs of u, where the weight is 1 (+1), and of
// 2^Width - 1 - u, where it is 0 (-1). u is the input as bit_planes gives it. This *raw sum* is
// never negative and differs from the sum of signed inputs by a constant of the row, which
// whatever reads it has in its own constants:
//
//   bits      sum of +-1 = 2 * raw - Inputs         (raw counts the inputs that equal their weight)
//   unsigned  sum        = raw - minus * (2^Width - 1)
//   signed    sum        = raw - plus * 2^(Width-1) - minus * (2^(Width-1) - 1)
//
// with plus and minus the numbers of +1 and -1 in the row.
//
// Either every bit plane is counted and the counts are added (planes), or the terms are (adders).
// Planes are counted by matches where weights vary, and by popcount where they are constants, with
// which a product is a wire.
//
// Latency: planes that of popcount over Inputs, then ceil($clog2(Width) / Levels) cycles;
// adders ceil($clog2(Inputs) / Levels).

module hwbnn_dot_row #(
  parameter int Inputs   = 4,
  parameter int Width    = 1,  // bits of an input
  parameter int SumWidth = 3,  // bits of the raw sum
  parameter int Levels   = 2,
  parameter bit Adders   = 1'b0,
  parameter bit Varying  = 1'b0  // weights are signals; else they are constants
) (
  input  logic                    clk_i,
  input  logic [Width*Inputs-1:0] planes_i,
  input  logic [Inputs-1:0]       weights_i,
  output logic [SumWidth-1:0]     sum_o
);
  localparam int CountWidth = $clog2(Inputs + 1);

`ifndef __ICARUS__  // which has no elaboration tasks
  if (SumWidth < CountWidth) begin : gen_error
    $error("hwbnn_dot_row: SumWidth %0d does not hold a count of %0d inputs", SumWidth, Inputs);
  end
`endif

  if (Adders) begin : gen_adders
    logic [Inputs*Width-1:0] terms;

    for (genvar i = 0; i < Inputs; i++) begin : gen_term
      for (genvar b = 0; b < Width; b++) begin : gen_bit
        assign terms[i*Width + b] = planes_i[b*Inputs + i] ~^ weights_i[i];
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

      if (Varying && Inputs > 6) begin : gen_matches
        hwbnn_matches #(
          .Inputs(Inputs),
          .Levels(Levels)
        ) u_matches (
          .clk_i,
          .a_i(planes_i[b*Inputs +: Inputs]),
          .b_i(weights_i),
          .count_o(count)
        );
      end else begin : gen_popcount
        hwbnn_popcount #(
          .Inputs(Inputs),
          .Levels(Levels)
        ) u_popcount (
          .clk_i,
          .bits_i(planes_i[b*Inputs +: Inputs] ~^ weights_i),
          .count_o(count)
        );
      end

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
