// SPDX-License-Identifier: Apache-2.0
// How many of its Count thresholds each element reaches; with one threshold the result is a bit.
// See compare for the meaning of the constants. Runs free.
//
// Latency: 1 cycle, and for Count > 1 that of popcount over Count.

module hwbnn_threshold #(
  parameter int Lanes  = 1,
  parameter int Tokens = 1,     // after which the constants repeat
  parameter int Width  = 3,     // bits of an element
  parameter bit Signed = 1'b0,  // elements are two's complement
  parameter int Count  = 2,     // thresholds of an element
  parameter int Levels = 2,     // levels of logic between two registers
  parameter int Classes   = 1,  // of positions; each has constants of its own
  parameter int Positions = 1,  // of Tokens tokens each; then the classes repeat
  parameter logic [Positions*(Classes > 1 ? $clog2(Classes) : 1)-1:0] Places = '0,
  parameter logic [Classes*Tokens*Lanes*Count*(Width+1)-1:0] Constants = '0,
  parameter logic [Tokens*Lanes-1:0] Falling = '0
) (
  input  logic                               clk_i,
  input  logic                               rst_ni,

  input  logic                               valid_i,
  input  logic [Lanes*Width-1:0]             data_i,

  output logic                               valid_o,
  output logic [Lanes*$clog2(Count+1)-1:0]   data_o
);
  localparam int OutWidth = $clog2(Count + 1);
  localparam int Stages =
    Count > 1 ? (1 + $clog2((Count + 5) / 6) + Levels - 1) / Levels : 0;

  logic compared;
  logic [Lanes*Count-1:0] reached;

  hwbnn_compare #(
    .Lanes(Lanes),
    .Tokens(Tokens),
    .Width(Width),
    .Signed(Signed),
    .Count(Count),
    .Classes(Classes),
    .Positions(Positions),
    .Places(Places),
    .Constants(Constants),
    .Falling(Falling)
  ) u_compare (
    .clk_i,
    .rst_ni,
    .valid_i,
    .data_i,
    .valid_o(compared),
    .data_o(reached)
  );

  if (Count == 1) begin : gen_bits
    assign data_o = reached;
  end else begin : gen_counts
    for (genvar l = 0; l < Lanes; l++) begin : gen_lane
      hwbnn_popcount #(
        .Inputs(Count),
        .Levels(Levels)
      ) u_count (
        .clk_i,
        .bits_i(reached[l*Count +: Count]),
        .count_o(data_o[l*OutWidth +: OutWidth])
      );
    end
  end

  hwbnn_valid_line #(
    .Stages(Stages)
  ) u_valid (
    .clk_i,
    .rst_ni,
    .valid_i(compared),
    .valid_o
  );
endmodule
