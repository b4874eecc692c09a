// SPDX-License-Identifier: Apache-2.0
// The sum of unsigned numbers by a tree of two-input adders, as wide as its level needs. A register
// follows every Levels-th level, counted from Before levels of logic that the caller has already
// placed in front, and the last level if there is one.
//
// Latency: ceil((Before + $clog2(Inputs)) / Levels) - floor(Before / Levels) cycles; 0 for one
// input.

module hwbnn_sum_tree #(
  parameter int Inputs   = 4,
  parameter int Width    = 3,  // bits of a number
  parameter int SumWidth = 5,  // bits of the sum; what does not fit is dropped
  parameter int Levels   = 2,
  parameter int Before   = 0
) (
  input  logic                    clk_i,
  input  logic [Inputs*Width-1:0] data_i,
  output logic [SumWidth-1:0]     sum_o
);
  localparam int Depth = $clog2(Inputs);

  if (Depth == 0) begin : gen_unused
    logic unused_clk;
    assign unused_clk = clk_i;
  end

  for (genvar l = 0; l <= Depth; l++) begin : gen_level
    localparam int Count = (Inputs + (1 << l) - 1) >> l;
    localparam int W = Width + l < SumWidth ? Width + l : SumWidth;
    logic [Count*W-1:0] sums;

    if (l == 0) begin : gen_leaves
      for (genvar i = 0; i < Count; i++) begin : gen_leaf
        assign sums[i*W +: W] = data_i[i*Width +: W];
      end
    end else begin : gen_adders
      localparam int Below = (Inputs + (1 << (l - 1)) - 1) >> (l - 1);
      localparam int V = Width + l - 1 < SumWidth ? Width + l - 1 : SumWidth;
      logic [Count*W-1:0] sums_d;

      for (genvar i = 0; i < Count; i++) begin : gen_adder
        if (2 * i + 1 < Below) begin : gen_pair
          assign sums_d[i*W +: W] =
            W'(gen_level[l-1].sums[2*i*V +: V]) + W'(gen_level[l-1].sums[(2*i+1)*V +: V]);
        end else begin : gen_single
          assign sums_d[i*W +: W] = W'(gen_level[l-1].sums[2*i*V +: V]);
        end
      end

      if ((Before + l) % Levels == 0 || l == Depth) begin : gen_registers
        always_ff @(posedge clk_i) sums <= sums_d;
      end else begin : gen_wires
        assign sums = sums_d;
      end
    end
  end

  assign sum_o = SumWidth'(gen_level[Depth].sums);
endmodule
