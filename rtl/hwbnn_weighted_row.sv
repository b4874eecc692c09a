// SPDX-License-Identifier: Apache-2.0
// One row of a matrix product with weights of several bits, in two's complement: the sum of weight *
// u over all inputs, plus for each input the constant of product, so that no number in it is negative.
// u is the input as bit_planes gives it.
//
// Either every bit plane is summed by itself: each of its bits gates a weight, a tree adds these, and
// another tree adds the sums of the planes. Or products are formed first and then added (Products);
// with Dsp by multipliers of the device.
//
// Latency: planes ceil($clog2(Inputs) / Levels) + ceil($clog2(Width) / Levels) cycles; products that
// of product, then ceil($clog2(Inputs) / Levels).

module hwbnn_weighted_row #(
  parameter int Inputs      = 4,
  parameter int Width       = 1,  // bits of an input
  parameter int WeightWidth = 3,
  parameter int SumWidth    = 6,  // bits of the sum; what does not fit is dropped
  parameter int Levels      = 2,
  parameter bit Products    = 1'b0,
  parameter bit Dsp         = 1'b0
) (
  input  logic                          clk_i,
  input  logic [Width*Inputs-1:0]       planes_i,
  input  logic [WeightWidth*Inputs-1:0] weights_i,
  output logic [SumWidth-1:0]           sum_o
);
  if (Products) begin : gen_products
    localparam int Full = Width + WeightWidth;

    logic [Inputs*Full-1:0] products;

    for (genvar i = 0; i < Inputs; i++) begin : gen_product
      logic [Width-1:0] number;

      for (genvar b = 0; b < Width; b++) begin : gen_bit
        assign number[b] = planes_i[b*Inputs + i];
      end

      hwbnn_product #(
        .Width(Width),
        .WeightWidth(WeightWidth),
        .Levels(Levels),
        .Dsp(Dsp)
      ) u_product (
        .clk_i,
        .data_i(number),
        .weight_i(weights_i[i*WeightWidth +: WeightWidth]),
        .product_o(products[i*Full +: Full])
      );
    end

    hwbnn_sum_tree #(
      .Inputs(Inputs),
      .Width(Full),
      .SumWidth(SumWidth),
      .Levels(Levels)
    ) u_sum (
      .clk_i,
      .data_i(products),
      .sum_o
    );
  end else begin : gen_planes
    localparam int Enough = WeightWidth + $clog2(Inputs);
    localparam int PlaneWidth = Enough < SumWidth ? Enough : SumWidth;

    logic [Width*SumWidth-1:0] sums;

    for (genvar b = 0; b < Width; b++) begin : gen_plane
      logic [Inputs*WeightWidth-1:0] terms;
      logic [PlaneWidth-1:0] sum;

      for (genvar i = 0; i < Inputs; i++) begin : gen_term
        // With its highest bit inverted, a term is 2^(WeightWidth-1) more than it stands for.
        assign terms[i*WeightWidth +: WeightWidth] = (weights_i[i*WeightWidth +: WeightWidth]
          & {WeightWidth{planes_i[b*Inputs + i]}}) ^ (WeightWidth'(1) << (WeightWidth - 1));
      end

      hwbnn_sum_tree #(
        .Inputs(Inputs),
        .Width(WeightWidth),
        .SumWidth(PlaneWidth),
        .Levels(Levels)
      ) u_sum (
        .clk_i,
        .data_i(terms),
        .sum_o(sum)
      );

      assign sums[b*SumWidth +: SumWidth] = SumWidth'(sum) << b;
    end

    hwbnn_sum_tree #(
      .Inputs(Width),
      .Width(SumWidth),
      .SumWidth(SumWidth),
      .Levels(Levels)
    ) u_sum (
      .clk_i,
      .data_i(sums),
      .sum_o
    );
  end
endmodule
