// SPDX-License-Identifier: Apache-2.0
// Compares each element with Count constants of its own and gives one bit for each: x > constant,
// or x <= constant where the element is falling. Positions of different classes have different
// constants. Runs free.
//
// Latency: 1 cycle.

module hwbnn_compare #(
  parameter int Lanes  = 1,
  parameter int Tokens = 1,     // after which the constants repeat
  parameter int Width  = 3,     // bits of an element
  parameter bit Signed = 1'b0,  // elements are two's complement
  parameter int Count  = 1,     // constants of an element
  parameter int Classes   = 1,  // of positions; each has constants of its own
  parameter int Positions = 1,  // of Tokens tokens each; then the classes repeat
  parameter logic [Positions*(Classes > 1 ? $clog2(Classes) : 1)-1:0] Places = '0,
  // Element by element, each in two's complement of Width + 1 bits. These also hold one less than the
  // lowest element, so a comparison can be always true or never.
  parameter logic [Classes*Tokens*Lanes*Count*(Width+1)-1:0] Constants = '0,
  parameter logic [Tokens*Lanes-1:0] Falling = '0
) (
  input  logic                   clk_i,
  input  logic                   rst_ni,

  input  logic                   valid_i,
  input  logic [Lanes*Width-1:0] data_i,

  output logic                   valid_o,
  output logic [Lanes*Count-1:0] data_o  // element by element
);
  localparam int Full = Width + 1;

  logic [Lanes*Count*Full-1:0] constants;
  logic [Lanes-1:0] falling;

  hwbnn_row_rom #(
    .Width(Lanes * Count * Full),
    .Rows(Tokens),
    .Classes(Classes),
    .Positions(Positions),
    .Places(Places),
    .Contents(Constants)
  ) u_constants (
    .clk_i,
    .rst_ni,
    .valid_i,
    .row_o(constants)
  );

  hwbnn_row_rom #(
    .Width(Lanes),
    .Rows(Tokens),
    .Contents(Falling)
  ) u_falling (
    .clk_i,
    .rst_ni,
    .valid_i,
    .row_o(falling)
  );

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    logic signed [Full-1:0] x;

    assign x = {Signed && data_i[l*Width + Width-1], data_i[l*Width +: Width]};

    for (genvar j = 0; j < Count; j++) begin : gen_constant
      logic signed [Full-1:0] constant;

      assign constant = constants[(l*Count + j)*Full +: Full];

      always_ff @(posedge clk_i) data_o[l*Count + j] <= (x > constant) ^ falling[l];
    end
  end

  hwbnn_valid_line #(
    .Stages(1)
  ) u_valid (
    .clk_i,
    .rst_ni,
    .valid_i,
    .valid_o
  );
endmodule
