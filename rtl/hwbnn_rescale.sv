// SPDX-License-Identifier: Apache-2.0
// Another fixed-point format for each element: y = (x * factor + bias) >>> shift, limited to Low ..
// High. Where x < 0 and Slopes is 2, the second factor is used. The bias belongs to the channel, or to
// the channel and the class of its position, and includes the half that rounds. Runs free.
//
// Latency: 3 cycles.

module hwbnn_rescale #(
  parameter int Lanes       = 1,
  parameter int Tokens      = 1,     // after which the constants repeat
  parameter int Width       = 8,     // bits of an element
  parameter bit Signed      = 1'b1,  // elements are two's complement
  parameter int Slopes      = 1,
  parameter int FactorWidth = 4,     // bits of a factor, in two's complement
  parameter int SumWidth    = 12,    // bits that hold factor * x, the bias and their sum
  parameter int OutWidth    = 8,     // bits of a result; it is signed if Low is negative
  parameter int Shift       = 2,     // places that all shift by
  parameter int ShiftWidth  = 0,     // bits of the places more that an element has
  parameter bit Clip        = 1'b0,  // whether results may lie outside Low to High
  parameter logic signed [OutWidth:0] Low  = '0,
  parameter logic signed [OutWidth:0] High = '0,
  parameter int Classes   = 1,       // of positions; each has a bias of its own
  parameter int Positions = 1,       // of Tokens tokens each; then the classes repeat
  parameter logic [Positions*(Classes > 1 ? $clog2(Classes) : 1)-1:0] Places = '0,
  // Element by element: the factors, above them how many places more it is shifted.
  parameter logic [Tokens*Lanes*(Slopes*FactorWidth+ShiftWidth)-1:0] Factors = '0,
  parameter logic [Classes*Tokens*Lanes*SumWidth-1:0] Biases = '0
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,

  input  logic                      valid_i,
  input  logic [Lanes*Width-1:0]    data_i,

  output logic                      valid_o,
  output logic [Lanes*OutWidth-1:0] data_o
);
  localparam int Element = Slopes * FactorWidth + ShiftWidth;
  localparam int Natural = Width + 1 + FactorWidth;  // of a product
  localparam int Product = Natural > SumWidth ? Natural : SumWidth;
  localparam int Full = (SumWidth > OutWidth ? SumWidth : OutWidth) + 1;

  logic [Lanes*Element-1:0] factors;
  logic [Lanes*SumWidth-1:0] biases;

  hwbnn_row_rom #(
    .Width(Lanes * Element),
    .Rows(Tokens),
    .Contents(Factors)
  ) u_factors (
    .clk_i,
    .rst_ni,
    .valid_i,
    .row_o(factors)
  );

  hwbnn_row_rom #(
    .Width(Lanes * SumWidth),
    .Rows(Tokens),
    .Classes(Classes),
    .Positions(Positions),
    .Places(Places),
    .Contents(Biases)
  ) u_biases (
    .clk_i,
    .rst_ni,
    .valid_i,
    .row_o(biases)
  );

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    logic signed [Width:0] x;
    logic signed [FactorWidth-1:0] factor;
    logic signed [Product-1:0] product;
    logic [SumWidth-1:0] product_q, bias_q;
    logic signed [SumWidth-1:0] sum_q, placed, shifted;
    logic signed [Full-1:0] result;
    logic [OutWidth-1:0] result_q;

    assign x = {Signed && data_i[l*Width + Width-1], data_i[l*Width +: Width]};

    if (Slopes == 2) begin : gen_slopes
      assign factor = x < 0 ? factors[l*Element + FactorWidth +: FactorWidth]
        : factors[l*Element +: FactorWidth];
    end else begin : gen_slope
      assign factor = factors[l*Element +: FactorWidth];
    end

    assign product = Product'(x) * Product'(factor);

    always_ff @(posedge clk_i) begin
      product_q <= product[SumWidth-1:0];
      bias_q <= biases[l*SumWidth +: SumWidth];
      sum_q <= product_q + bias_q;
      result_q <= result[OutWidth-1:0];
    end

    if (Product > SumWidth) begin : gen_unused_product
      logic unused_product;
      assign unused_product = ^product[Product-1:SumWidth];
    end

    // ---- The places of this element, a cycle after its factors and one more ----

    assign shifted = sum_q >>> Shift;
    if (ShiftWidth > 0) begin : gen_shift
      logic [ShiftWidth-1:0] shift;

      hwbnn_delay_line #(
        .Width(ShiftWidth),
        .Stages(2)
      ) u_shift (
        .clk_i,
        .data_i(factors[l*Element + Slopes*FactorWidth +: ShiftWidth]),
        .data_o(shift)
      );
      assign placed = shifted >>> shift;
    end else begin : gen_no_shift
      assign placed = shifted;
    end

    if (Clip) begin : gen_clip
      assign result = Full'(placed) < Full'(Low) ? Full'(Low)
        : Full'(placed) > Full'(High) ? Full'(High) : Full'(placed);
    end else begin : gen_plain
      assign result = Full'(placed);
    end

    logic unused_result;
    assign unused_result = ^result[Full-1:OutWidth];

    assign data_o[l*OutWidth +: OutWidth] = result_q;
  end

  hwbnn_valid_line #(
    .Stages(3)
  ) u_valid (
    .clk_i,
    .rst_ni,
    .valid_i,
    .valid_o
  );
endmodule
