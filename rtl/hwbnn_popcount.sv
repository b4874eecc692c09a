// SPDX-License-Identifier: Apache-2.0
// How many bits of a word are set. Groups of six bits give counts of three bits; each bit of a
// count is a table of six inputs, so it takes one LUT6. A tree of adders sums the counts. Bits are
// counted in this module only, so a better counter goes here.
//
// With HWBNN_COUNTONES defined, $countones counts at once and the result is delayed by the same
// number of cycles. Simulators are many times faster with it; the values and cycles are the same.
//
// Latency: ceil((1 + $clog2(ceil(Inputs / 6))) / Levels) cycles.

module hwbnn_popcount #(
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

  hwbnn_delay_line #(
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

  logic [3*Groups-1:0] count;

  hwbnn_count_six #(
    .Groups(Groups)
  ) u_count (
    .bits_i(bits),
    .counts_o(count)
  );

  for (genvar g = 0; g < Groups; g++) begin : gen_group
    for (genvar i = 0; i < GroupWidth; i++) begin : gen_bit
      assign counts_d[g*GroupWidth + i] = count[3*g + i];
    end
  end

  if (GroupWidth < 3) begin : gen_narrow
    logic unused_count;
    assign unused_count = ^count;
  end

  if (Levels == 1 || Groups == 1) begin : gen_registers
    always_ff @(posedge clk_i) counts <= counts_d;
  end else begin : gen_wires
    assign counts = counts_d;
  end

  hwbnn_sum_tree #(
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
