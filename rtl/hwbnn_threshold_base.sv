// SPDX-License-Identifier: Apache-2.0
// threshold, and Base added to each count: integers from Base to Base + Count, in two's complement
// where they can be negative. Runs free.
//
// Latency: that of threshold.

module hwbnn_threshold_base #(
  parameter int Lanes  = 1,
  parameter int Tokens = 1,     // after which the constants repeat
  parameter int Width  = 3,     // bits of an element
  parameter bit Signed = 1'b0,  // elements are two's complement
  parameter int Count  = 2,     // thresholds of an element
  parameter int Levels = 2,     // levels of logic between two registers
  parameter int Classes   = 1,  // of positions; each has constants of its own
  parameter int Positions = 1,  // of Tokens tokens each; then the classes repeat
  parameter int OutWidth = 2,   // bits of a result
  parameter logic [OutWidth-1:0] Base = '0,
  parameter logic [Positions*(Classes > 1 ? $clog2(Classes) : 1)-1:0] Places = '0,
  parameter logic [Classes*Tokens*Lanes*Count*(Width+1)-1:0] Constants = '0,
  parameter logic [Tokens*Lanes-1:0] Falling = '0
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,

  input  logic                      valid_i,
  input  logic [Lanes*Width-1:0]    data_i,

  output logic                      valid_o,
  output logic [Lanes*OutWidth-1:0] data_o
);
  localparam int CountWidth = $clog2(Count + 1);
  localparam int Full = CountWidth > OutWidth ? CountWidth : OutWidth;

  logic [Lanes*CountWidth-1:0] counts;

  hwbnn_threshold #(
    .Lanes(Lanes),
    .Tokens(Tokens),
    .Width(Width),
    .Signed(Signed),
    .Count(Count),
    .Levels(Levels),
    .Classes(Classes),
    .Positions(Positions),
    .Places(Places),
    .Constants(Constants),
    .Falling(Falling)
  ) u_threshold (
    .clk_i,
    .rst_ni,
    .valid_i,
    .data_i,
    .valid_o,
    .data_o(counts)
  );

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    logic [Full-1:0] count;

    assign count = Full'(counts[l*CountWidth +: CountWidth]);
    assign data_o[l*OutWidth +: OutWidth] = count[OutWidth-1:0] + Base;

    if (Full > OutWidth) begin : gen_unused
      logic unused_count;
      assign unused_count = ^count[Full-1:OutWidth];
    end
  end
endmodule
