// SPDX-License-Identifier: Apache-2.0
// How many bits of a word are set. Six bits at a time give a count of three bits; each bit of a
// count is a table of six inputs, so it takes one LUT6. A tree of adders sums the counts. Bits are
// counted in this module only, so a better counter goes here.
//
// With HWBNN_COUNTONES defined, $countones counts at once and the result is delayed by the same
// number of cycles. Simulators are many times faster with it; the values and cycles are the same.
//
// Latency: ceil((1 + $clog2(ceil(Inputs / 6))) / Levels) cycles.

module hwbnn_popcount #(
  parameter int Inputs = 6,
  parameter int Levels = 2  // levels of logic between two registers: the counts of six are one
) (
  input  logic                          clk_i,
  input  logic [Inputs-1:0]             bits_i,
  output logic [$clog2(Inputs+1)-1:0]   count_o
);
  localparam int Width = $clog2(Inputs + 1);
  localparam int Sixes = (Inputs + 5) / 6;

`ifdef HWBNN_COUNTONES
  localparam int Stages = (1 + $clog2(Sixes) + Levels - 1) / Levels;

  hwbnn_delay_line #(
    .Width(Width),
    .Stages(Stages)
  ) u_delay (
    .clk_i,
    .data_i(Width'($countones(bits_i))),
    .data_o(count_o)
  );
`else
  localparam int CountWidth = Width < 3 ? Width : 3;

  logic [6*Sixes-1:0] bits;
  logic [Sixes*CountWidth-1:0] counts, counts_d;

  if (6 * Sixes > Inputs) begin : gen_pad
    assign bits = {{(6 * Sixes - Inputs) {1'b0}}, bits_i};
  end else begin : gen_whole
    assign bits = bits_i;
  end

  logic [3*Sixes-1:0] count;

  hwbnn_count_six #(
    .Counts(Sixes)
  ) u_count (
    .bits_i(bits),
    .counts_o(count)
  );

  for (genvar g = 0; g < Sixes; g++) begin : gen_six
    for (genvar i = 0; i < CountWidth; i++) begin : gen_bit
      assign counts_d[g*CountWidth + i] = count[3*g + i];
    end
  end

  if (CountWidth < 3) begin : gen_narrow
    logic unused_count;
    assign unused_count = ^count;
  end

  if (Levels == 1 || Sixes == 1) begin : gen_registers
    always_ff @(posedge clk_i) counts <= counts_d;
  end else begin : gen_wires
    assign counts = counts_d;
  end

  hwbnn_sum_tree #(
    .Inputs(Sixes),
    .Width(CountWidth),
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
