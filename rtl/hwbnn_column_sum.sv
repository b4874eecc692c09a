// SPDX-License-Identifier: Apache-2.0
// The sum of weighted bits: those of column k count 2^k each. Every column is counted by a popcount
// and a tree of adders sums the counts. This is a row of a matrix product whose weights are
// constants: each digit of a weight is a bit of the input, or its complement, in a column.
//
// Latency: that of popcount over Tallest, then ceil($clog2(Columns) / Levels) cycles, whatever the
// Heights are.

module hwbnn_column_sum #(
  parameter int Columns  = 2,
  parameter int Bits     = 4,  // of all columns
  parameter int SumWidth = 3,  // what does not fit is dropped
  parameter int Levels   = 2,  // levels of logic between two registers
  parameter int Tallest  = 3,  // at least the bits of any column
  // Bits of each column, the lowest first, 32 bits each.
  parameter logic [32*Columns-1:0] Heights = {32'd1, 32'd3}
) (
  input  logic                clk_i,
  input  logic [Bits-1:0]     bits_i,  // column by column
  output logic [SumWidth-1:0] sum_o
);
  localparam int Longest = ($clog2((Tallest + 5) / 6) + Levels) / Levels;

  logic [Columns*SumWidth-1:0] counts;

  // The first bit of a column.
  function automatic int start(input int column);
    start = 0;
    for (int k = 0; k < column; k++) start = start + int'(Heights[32*k +: 32]);
  endfunction

  for (genvar k = 0; k < Columns; k++) begin : gen_column
    localparam int Height = int'(Heights[32*k +: 32]);

    if (Height == 0 || k >= SumWidth) begin : gen_none
      assign counts[k*SumWidth +: SumWidth] = '0;
    end else begin : gen_some
      localparam int CountWidth = $clog2(Height + 1);
      localparam int First = start(k);

      logic [CountWidth-1:0] count, delayed;

      hwbnn_popcount #(
        .Inputs(Height),
        .Levels(Levels)
      ) u_popcount (
        .clk_i,
        .bits_i(bits_i[First +: Height]),
        .count_o(count)
      );

      hwbnn_delay_line #(
        .Width(CountWidth),
        .Stages(Longest - ($clog2((Height + 5) / 6) + Levels) / Levels)
      ) u_delay (
        .clk_i,
        .data_i(count),
        .data_o(delayed)
      );

      assign counts[k*SumWidth +: SumWidth] = SumWidth'(delayed) << k;
    end
  end

  hwbnn_sum_tree #(
    .Inputs(Columns),
    .Width(SumWidth),
    .SumWidth(SumWidth),
    .Levels(Levels)
  ) u_sum (
    .clk_i,
    .data_i(counts),
    .sum_o
  );
endmodule
