// SPDX-License-Identifier: Apache-2.0
// In how many places two words are equal. Both words are signals. Three places are six signals, the
// inputs of a LUT6: their sum and carry take two LUT6. The sums and the carries are counted six at a
// time, and a tree of adders sums the counts.
//
// With HWBNN_COUNTONES defined, $countones counts at once and the result is delayed by the same
// number of cycles, as in popcount.
//
// Latency: that of popcount over as many inputs.

module hwbnn_matches #(
  parameter int Inputs = 7,  // at least 7
  parameter int Levels = 2   // levels of logic between two registers: popcount's first is one
) (
  input  logic                          clk_i,
  input  logic [Inputs-1:0]             a_i,
  input  logic [Inputs-1:0]             b_i,
  output logic [$clog2(Inputs+1)-1:0]   count_o
);
  localparam int Width = $clog2(Inputs + 1);
  localparam int Sixes = (Inputs + 17) / 18;
  localparam int Depth = 1 + $clog2((Inputs + 5) / 6);  // popcount's

`ifdef HWBNN_COUNTONES
  hwbnn_delay_line #(
    .Width(Width),
    .Stages((Depth + Levels - 1) / Levels)
  ) u_delay (
    .clk_i,
    .data_i(Width'($countones(a_i ~^ b_i))),
    .data_o(count_o)
  );
`else
  localparam int Threes = (Inputs + 2) / 3;
  // Both counters are one level, or where that leaves one over a level each.
  localparam int Before = Depth - 1 - $clog2(Sixes);
  localparam int NumberWidth = Width < 4 ? Width : 4;

  logic [3*Threes-1:0] a, b;
  logic [Threes-1:0] ones, twos;
  logic [2*Threes-1:0] threes, threes_d;
  logic [12*Sixes-1:0] bits;
  logic [6*Sixes-1:0] counts;
  logic [2*Sixes*NumberWidth-1:0] numbers, numbers_d;

  // Places that are filled up differ.
  if (3 * Threes > Inputs) begin : gen_pad
    assign a = {{(3 * Threes - Inputs) {1'b0}}, a_i};
    assign b = {{(3 * Threes - Inputs) {1'b1}}, b_i};
  end else begin : gen_whole
    assign a = a_i;
    assign b = b_i;
  end

  hwbnn_match_three #(
    .Counts(Threes)
  ) u_three (
    .a_i(a),
    .b_i(b),
    .ones_o(ones),
    .twos_o(twos)
  );

  assign threes_d = {twos, ones};

  if (Levels == 1 && Before == 2) begin : gen_threes_registers
    always_ff @(posedge clk_i) threes <= threes_d;
  end else begin : gen_threes_wires
    assign threes = threes_d;
  end

  // Counters of ones and of twos take turns, since the tree adds neighbours.
  for (genvar i = 0; i < 6 * Sixes; i++) begin : gen_bit
    if (i < Threes) begin : gen_three
      assign bits[2*i +: 2] = {threes[Threes+i], threes[i]};
    end else begin : gen_none
      assign bits[2*i +: 2] = 2'b00;
    end
  end

  hwbnn_count_six #(
    .Counts(2 * Sixes)
  ) u_count (
    .bits_i(bits),
    .counts_o(counts)
  );

  for (genvar g = 0; g < Sixes; g++) begin : gen_number
    assign numbers_d[2*g*NumberWidth +: NumberWidth] = NumberWidth'(counts[6*g +: 3]);
    assign numbers_d[(2*g+1)*NumberWidth +: NumberWidth] =
      NumberWidth'({counts[6*g+3 +: 3], 1'b0});
  end

  if (Before % Levels == 0) begin : gen_registers
    always_ff @(posedge clk_i) numbers <= numbers_d;
  end else begin : gen_wires
    assign numbers = numbers_d;
  end

  hwbnn_sum_tree #(
    .Inputs(2 * Sixes),
    .Width(NumberWidth),
    .SumWidth(Width),
    .Levels(Levels),
    .Before(Before)
  ) u_sum (
    .clk_i,
    .data_i(numbers),
    .sum_o(count_o)
  );
`endif
endmodule
