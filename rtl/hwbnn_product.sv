// SPDX-License-Identifier: Apache-2.0
// A weight times an input, plus a constant, so that the result is never negative. The weight is
// in two's complement, the input is not negative.
//
// Dsp asks synthesis for a multiplier of the device; the constant is 2^(Width+WeightWidth-1), which
// inverts the highest bit. Without it the result is a tree of adders over the bits of the input, and
// no multiplier is written for synthesis to find; the constant is 2^(WeightWidth-1) * (2^Width - 1).
//
// Latency: with Dsp 1 cycle; else ceil($clog2(Width) / Levels).

module hwbnn_product #(
  parameter int Width       = 4,  // bits of the input
  parameter int WeightWidth = 4,  // bits of the weight
  parameter int Levels      = 2,  // levels of logic between two registers
  parameter bit Dsp         = 1'b0
) (
  input  logic                         clk_i,
  input  logic [Width-1:0]             data_i,
  input  logic [WeightWidth-1:0]       weight_i,
  output logic [Width+WeightWidth-1:0] product_o
);
  localparam int Full = Width + WeightWidth;

  if (Dsp) begin : gen_dsp
    (* use_dsp = "yes" *) logic signed [Full:0] product_q;

    always_ff @(posedge clk_i) begin
      product_q <= $signed(weight_i) * $signed({1'b0, data_i});
    end

    assign product_o = {!product_q[Full-1], product_q[Full-2:0]};

    logic unused_sign;
    assign unused_sign = product_q[Full];
  end else begin : gen_luts
    logic [Width*Full-1:0] terms;

    for (genvar b = 0; b < Width; b++) begin : gen_bit
      logic [WeightWidth-1:0] term;

      // With its highest bit inverted, a term is 2^(WeightWidth-1) more than it stands for.
      always_comb begin
        term = weight_i & {WeightWidth{data_i[b]}};
        term[WeightWidth-1] = !term[WeightWidth-1];
      end
      assign terms[b*Full +: Full] = Full'(term) << b;
    end

    hwbnn_sum_tree #(
      .Inputs(Width),
      .Width(Full),
      .SumWidth(Full),
      .Levels(Levels)
    ) u_sum (
      .clk_i,
      .data_i(terms),
      .sum_o(product_o)
    );
  end
endmodule
