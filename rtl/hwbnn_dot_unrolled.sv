// SPDX-License-Identifier: Apache-2.0
// A matrix product with a gate for every weight: it takes a whole vector in every cycle, and the
// weights are wires. It gives the raw sums of dot_row, one for each channel. With Groups > 1 each
// group of channels has inputs of its own. Runs free.
//
// Latency: that of dot_row.

module hwbnn_dot_unrolled #(
  parameter int Inputs   = 4,     // of a channel
  parameter int Channels = 2,
  parameter int Groups   = 1,     // divides Channels
  parameter int Width    = 1,     // bits of an input
  parameter bit Signed   = 1'b0,  // inputs are two's complement
  parameter int SumWidth = 3,     // bits of a raw sum
  parameter int Levels   = 2,     // levels of logic between two registers
  parameter bit Adders   = 1'b0,  // of dot_row
  parameter logic [Channels*Inputs-1:0] Weights = '0  // channel by channel
) (
  input  logic                         clk_i,
  input  logic                         rst_ni,

  input  logic                         valid_i,
  input  logic [Groups*Inputs*Width-1:0] data_i,

  output logic                         valid_o,
  output logic [Channels*SumWidth-1:0] data_o
);
  localparam int CountLevels = 1 + $clog2((Inputs + 5) / 6);
  localparam int Stages = Adders ? ($clog2(Inputs) + Levels - 1) / Levels
    : (CountLevels + Levels - 1) / Levels + ($clog2(Width) + Levels - 1) / Levels;

  logic [Groups*Width*Inputs-1:0] planes;

  for (genvar g = 0; g < Groups; g++) begin : gen_group
    hwbnn_bit_planes #(
      .Inputs(Inputs),
      .Width(Width),
      .Signed(Signed)
    ) u_planes (
      .data_i(data_i[g*Inputs*Width +: Inputs*Width]),
      .planes_o(planes[g*Inputs*Width +: Inputs*Width])
    );
  end

  for (genvar c = 0; c < Channels; c++) begin : gen_channel
    hwbnn_dot_row #(
      .Inputs(Inputs),
      .Width(Width),
      .SumWidth(SumWidth),
      .Levels(Levels),
      .Adders(Adders)
    ) u_row (
      .clk_i,
      .planes_i(planes[c/(Channels/Groups)*Inputs*Width +: Inputs*Width]),
      .weights_i(Weights[c*Inputs +: Inputs]),
      .sum_o(data_o[c*SumWidth +: SumWidth])
    );
  end

  hwbnn_valid_line #(
    .Stages(Stages)
  ) u_valid (
    .clk_i,
    .rst_ni,
    .valid_i,
    .valid_o
  );
endmodule
