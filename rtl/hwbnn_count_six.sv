// SPDX-License-Identifier: Apache-2.0
// How many of six bits are set, Counts times. A count has three bits; each is a table of six inputs,
// so it takes one LUT6.

module hwbnn_count_six #(
  parameter int Counts = 1
) (
  input  logic [6*Counts-1:0] bits_i,   // bit c + i * Counts belongs to count c
  output logic [3*Counts-1:0] counts_o  // count by count
);
  // Bit c of each of these belongs to count c: two full adders, whose sums and carries are added.
  logic [Counts-1:0] a, b, c, d, e, f;
  logic [Counts-1:0] low_sum, low_carry, high_sum, high_carry, carry;
  logic [Counts-1:0] ones, twos, fours;

  assign {f, e, d, c, b, a} = bits_i;
  assign low_sum = a ^ b ^ c;
  assign low_carry = (a & b) | (c & (a ^ b));
  assign high_sum = d ^ e ^ f;
  assign high_carry = (d & e) | (f & (d ^ e));
  assign carry = low_sum & high_sum;
  assign ones = low_sum ^ high_sum;
  assign twos = low_carry ^ high_carry ^ carry;
  assign fours = (low_carry & high_carry) | (carry & (low_carry ^ high_carry));

  for (genvar k = 0; k < Counts; k++) begin : gen_count
    assign counts_o[3*k +: 3] = {fours[k], twos[k], ones[k]};
  end
endmodule
