// SPDX-License-Identifier: Apache-2.0
// Numbers as planes of bits: plane b holds bit b of every number. The top plane of signed numbers
// is inverted, which adds 2^(Width-1) to each, so that all planes count upwards. Wires only.

module hwbnn_bit_planes #(
  parameter int Inputs = 4,
  parameter int Width  = 1,
  parameter bit Signed = 1'b0
) (
  input  logic [Inputs*Width-1:0] data_i,   // number by number
  output logic [Width*Inputs-1:0] planes_o  // plane by plane
);
  if (Width == 1) begin : gen_bits
    assign planes_o = data_i ^ {Inputs{Signed}};
  end else begin : gen_numbers
    for (genvar b = 0; b < Width; b++) begin : gen_plane
      for (genvar i = 0; i < Inputs; i++) begin : gen_bit
        assign planes_o[b*Inputs + i] = data_i[i*Width + b] ^ (Signed && b == Width - 1);
      end
    end
  end
endmodule
