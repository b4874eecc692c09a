// SPDX-License-Identifier: Apache-2.0
// In how many of three places two words are equal: a sum and a carry, each a function of six
// signals, so each takes one LUT6. Synthesis maps this module separately, because otherwise it does
// not find these two LUT6 and takes two fifths more.

(* keep_hierarchy *)
module hwbnn_match_three #(
  parameter int Counts = 1
) (
  input  logic [3*Counts-1:0] a_i,      // bit c + i * Counts belongs to count c
  input  logic [3*Counts-1:0] b_i,
  output logic [Counts-1:0]   ones_o,
  output logic [Counts-1:0]   twos_o
);
  logic [Counts-1:0] x, y, z;

  assign {z, y, x} = a_i ~^ b_i;
  assign ones_o = x ^ y ^ z;
  assign twos_o = (x & y) | (z & (x ^ y));
endmodule
