// SPDX-License-Identifier: Apache-2.0
// Each sum times a scale, plus the total times an offset, plus a constant; all three come from a
// memory, for each element. The total, one for all lanes, stands above the lanes in every token. If
// ScaleWidth is 0, all elements share one scale, which is a shift. All is modulo 2^OutWidth. Runs
// free.
//
// Latency: 2 cycles.

module hwbnn_scaled #(
  parameter int Lanes         = 2,
  parameter int Tokens        = 2,  // after which the elements repeat
  parameter int Width         = 3,  // bits of a sum and of the total
  parameter int OutWidth      = 8,
  parameter int Shift         = 1,
  parameter int ScaleWidth    = 0,  // bits of a scale, which is not negative
  parameter int OffsetWidth   = 3,  // bits of an offset, in two's complement
  parameter int ConstantWidth = 8,  // bits of a constant: OutWidth, or 0 for none
  parameter int Classes   = 1,  // of positions; each has constants of its own
  parameter int Positions = 1,  // of Tokens tokens each; then the classes repeat
  parameter logic [Positions*(Classes > 1 ? $clog2(Classes) : 1)-1:0] Places = '0,
  // Element by element: offset, above it the constant, above that the scale.
  parameter logic [Classes*Tokens*Lanes*(OffsetWidth+ConstantWidth+ScaleWidth)-1:0] Rows = '0
) (
  input  logic                       clk_i,
  input  logic                       rst_ni,

  input  logic                       valid_i,
  input  logic [(Lanes+1)*Width-1:0] data_i,

  output logic                       valid_o,
  output logic [Lanes*OutWidth-1:0]  data_o
);
  localparam int Element = OffsetWidth + ConstantWidth + ScaleWidth;
  localparam int Product = Width + 1 + OffsetWidth;
  localparam int Scaled = Width + (ScaleWidth > 0 ? ScaleWidth : Shift);
  localparam int Wide = Product > Scaled ? Product : Scaled;
  localparam int Full = Wide > OutWidth ? Wide : OutWidth;

  logic [Lanes*Element-1:0] row;
  logic signed [Width:0] total;

  hwbnn_row_rom #(
    .Width(Lanes * Element),
    .Rows(Tokens),
    .Classes(Classes),
    .Positions(Positions),
    .Places(Places),
    .Contents(Rows)
  ) u_rows (
    .clk_i,
    .rst_ni,
    .valid_i,
    .row_o(row)
  );

  assign total = {1'b0, data_i[Lanes*Width +: Width]};

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    logic signed [OffsetWidth-1:0] offset;
    logic signed [Product-1:0] product;
    logic [Full-1:0] product_full, scaled;
    logic [OutWidth-1:0] product_q, scaled_q, constant;

    assign offset = row[l*Element +: OffsetWidth];
    assign product = offset * total;
    assign product_full = Full'(product);

    if (ScaleWidth > 0) begin : gen_scale
      assign scaled = Full'(data_i[l*Width +: Width])
        * Full'(row[l*Element + OffsetWidth + ConstantWidth +: ScaleWidth]);
    end else begin : gen_shift
      assign scaled = Full'(data_i[l*Width +: Width]) << Shift;
    end

    if (ConstantWidth > 0) begin : gen_constant
      assign constant = row[l*Element + OffsetWidth +: ConstantWidth];
    end else begin : gen_none
      assign constant = '0;
    end

    always_ff @(posedge clk_i) begin
      product_q <= product_full[OutWidth-1:0];
      scaled_q <= scaled[OutWidth-1:0] + constant;
      data_o[l*OutWidth +: OutWidth] <= scaled_q + product_q;
    end

    if (Full > OutWidth) begin : gen_unused
      logic unused_full;
      assign unused_full = (^product_full[Full-1:OutWidth]) ^ (^scaled[Full-1:OutWidth]);
    end
  end

  hwbnn_valid_line #(
    .Stages(2)
  ) u_valid (
    .clk_i,
    .rst_ni,
    .valid_i,
    .valid_o
  );
endmodule
