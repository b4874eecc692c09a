// SPDX-License-Identifier: Apache-2.0
// Turns the raw sums of a matrix product into signed sums: y = (x << Shift) - constant. The
// constant belongs to the channel, or to the channel and the class of its position. Runs free.
//
// Latency: 1 cycle.

module hwbnn_affine #(
  parameter int Lanes    = 1,
  parameter int Tokens   = 1,  // after which the constants repeat
  parameter int Width    = 3,  // bits of a raw sum
  parameter int OutWidth = 4,  // bits of a signed sum
  parameter int Shift    = 1,
  parameter int Classes   = 1,  // of positions; each has constants of its own
  parameter int Positions = 1,  // of Tokens tokens each; then the classes repeat
  parameter logic [Positions*(Classes > 1 ? $clog2(Classes) : 1)-1:0] Places = '0,
  parameter logic [Classes*Tokens*Lanes*OutWidth-1:0] Constants = '0  // element by element
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,

  input  logic                      valid_i,
  input  logic [Lanes*Width-1:0]    data_i,

  output logic                      valid_o,
  output logic [Lanes*OutWidth-1:0] data_o
);
  // Wide enough for the shifted sum; the difference then fits OutWidth.
  localparam int FullWidth = Width + Shift > OutWidth ? Width + Shift : OutWidth;

  logic [Lanes*OutWidth-1:0] row;

  hwbnn_row_rom #(
    .Width(Lanes * OutWidth),
    .Rows(Tokens),
    .Classes(Classes),
    .Positions(Positions),
    .Places(Places),
    .Contents(Constants)
  ) u_rows (
    .clk_i,
    .rst_ni,
    .valid_i,
    .row_o(row)
  );

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    logic [FullWidth-1:0] shifted;

    assign shifted = FullWidth'(data_i[l*Width +: Width]) << Shift;

    always_ff @(posedge clk_i) begin
      data_o[l*OutWidth +: OutWidth] <= shifted[OutWidth-1:0] - row[l*OutWidth +: OutWidth];
    end

    if (FullWidth > OutWidth) begin : gen_unused
      logic unused_shifted;
      assign unused_shifted = ^shifted[FullWidth-1:OutWidth];
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
