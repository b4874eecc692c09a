// SPDX-License-Identifier: Apache-2.0
// A number times a constant, by shifts and adders: the sum of Count terms. Each term is the shifted
// number or its complement. A complement is one less than the negative, so the result is less than
// the multiple by the number of complements; the reader adds that in its own constants. All is
// modulo 2^OutWidth.
//
// Latency: ceil($clog2(Count) / Levels) cycles.

module hwbnn_multiple #(
  parameter int Width    = 3,  // bits of the number, which is not negative
  parameter int OutWidth = 6,
  parameter int Count    = 2,  // terms
  parameter int Levels   = 2,  // levels of logic between two registers
  // Term by term a byte: whether it is there, whether it is a complement, and six bits of place.
  parameter logic [8*Count-1:0] Terms = '0
) (
  input  logic                clk_i,
  input  logic [Width-1:0]    data_i,
  output logic [OutWidth-1:0] data_o
);
  localparam int Full = Width > OutWidth ? Width : OutWidth;

  logic [Full-1:0] number;
  logic [Count*OutWidth-1:0] terms;

  assign number = Full'(data_i);

  for (genvar t = 0; t < Count; t++) begin : gen_term
    if (Terms[8*t + 7]) begin : gen_there
      assign terms[t*OutWidth +: OutWidth] =
        (number[OutWidth-1:0] << Terms[8*t +: 6]) ^ {OutWidth{Terms[8*t + 6]}};
    end else begin : gen_none
      assign terms[t*OutWidth +: OutWidth] = '0;
    end
  end

  logic unused_number;
  assign unused_number = ^number;

  hwbnn_sum_tree #(
    .Inputs(Count),
    .Width(OutWidth),
    .SumWidth(OutWidth),
    .Levels(Levels)
  ) u_sum (
    .clk_i,
    .data_i(terms),
    .sum_o(data_o)
  );
endmodule
