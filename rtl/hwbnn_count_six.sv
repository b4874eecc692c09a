// SPDX-License-Identifier: Apache-2.0
// How many bits of each group of six are set. A count has three bits; each is a table of six
// inputs, so it takes one LUT6.

module hwbnn_count_six #(
  parameter int Groups = 1
) (
  input  logic [6*Groups-1:0] bits_i,   // bit g + i * Groups belongs to group g
  output logic [3*Groups-1:0] counts_o  // group by group
);
  // Bit g of each of these belongs to group g: two full adders, whose sums and carries are added.
  logic [Groups-1:0] a, b, c, d, e, f;
  logic [Groups-1:0] low_sum, low_carry, high_sum, high_carry, carry;
  logic [Groups-1:0] ones, twos, fours;

  assign {f, e, d, c, b, a} = bits_i;
  assign low_sum = a ^ b ^ c;
  assign low_carry = (a & b) | (c & (a ^ b));
  assign high_sum = d ^ e ^ f;
  assign high_carry = (d & e) | (f & (d ^ e));
  assign carry = low_sum & high_sum;
  assign ones = low_sum ^ high_sum;
  assign twos = low_carry ^ high_carry ^ carry;
  assign fours = (low_carry & high_carry) | (carry & (low_carry ^ high_carry));

  for (genvar g = 0; g < Groups; g++) begin : gen_group
    assign counts_o[3*g +: 3] = {fours[g], twos[g], ones[g]};
  end
endmodule
