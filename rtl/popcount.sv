// SPDX-License-Identifier: Apache-2.0
// How many bits of a word are set. Groups of six bits become counts of three bits, each a table of
// six inputs and so one LUT6 a bit; a tree of adders sums the counts. This is the one place where
// bits are counted, so a better counter goes here.
//
// With HWBNN_COUNTONES defined the count is made at once and then delayed as long: simulators take
// that many times faster, cycle for cycle the same.
//
// Latency: ceil((1 + $clog2(ceil(Inputs / 6))) / Levels) cycles.

module popcount #(
  parameter int Inputs = 6,
  parameter int Levels = 2  // levels of logic between two registers: the groups are one
) (
  input  logic                          clk_i,
  input  logic [Inputs-1:0]             bits_i,
  output logic [$clog2(Inputs+1)-1:0]   count_o
);
  localparam int Width = $clog2(Inputs + 1);
  localparam int Groups = (Inputs + 5) / 6;

`ifdef HWBNN_COUNTONES
  localparam int Stages = (1 + $clog2(Groups) + Levels - 1) / Levels;

  delay_line #(
    .Width(Width),
    .Stages(Stages)
  ) u_delay (
    .clk_i,
    .data_i(Width'($countones(bits_i))),
    .data_o(count_o)
  );
`else
  localparam int GroupWidth = Width < 3 ? Width : 3;

  logic [6*Groups-1:0] bits;
  logic [Groups*GroupWidth-1:0] counts, counts_d;

  if (6 * Groups > Inputs) begin : gen_pad
    assign bits = {{(6 * Groups - Inputs) {1'b0}}, bits_i};
  end else begin : gen_whole
    assign bits = bits_i;
  end

  for (genvar g = 0; g < Groups; g++) begin : gen_group
    logic [5:0] b;
    logic low_sum, low_carry, high_sum, high_carry, carry;
    logic [2:0] count;

    // Two full adders, whose sums and carries are then added.
    assign b = bits[6*g +: 6];
    assign low_sum = b[0] ^ b[1] ^ b[2];
    assign low_carry = (b[0] & b[1]) | (b[2] & (b[0] ^ b[1]));
    assign high_sum = b[3] ^ b[4] ^ b[5];
    assign high_carry = (b[3] & b[4]) | (b[5] & (b[3] ^ b[4]));
    assign carry = low_sum & high_sum;
    assign count[0] = low_sum ^ high_sum;
    assign count[1] = low_carry ^ high_carry ^ carry;
    assign count[2] = (low_carry & high_carry) | (carry & (low_carry ^ high_carry));
    assign counts_d[g*GroupWidth +: GroupWidth] = count[GroupWidth-1:0];

    if (GroupWidth < 3) begin : gen_narrow
      logic unused_count;
      assign unused_count = ^count[2:GroupWidth];
    end
  end

  if (Levels == 1 || Groups == 1) begin : gen_registers
    always_ff @(posedge clk_i) counts <= counts_d;
  end else begin : gen_wires
    assign counts = counts_d;
  end

  sum_tree #(
    .Inputs(Groups),
    .Width(GroupWidth),
    .SumWidth(Width),
    .Levels(Levels),
    .Before(1)
  ) u_sum (
    .clk_i,
    .data_i(counts),
    .sum_o(count_o)
  );
`endif
endmodule
