// A folded product with its memory of weights and the FIFO that its credits are for.
module dot_folded_bench #(
  parameter int Inputs   = 8,
  parameter int Channels = 4,
  parameter int Pe       = 2,
  parameter int Simd     = 4,
  parameter int Width    = 1,
  parameter bit Signed   = 1'b0,
  parameter int SumWidth = 4,
  parameter int Levels   = 2,
  parameter bit Adders   = 1'b0,
  parameter bit Serial   = 1'b0,
  parameter int Groups   = 1,
  parameter int Totals   = 0,
  parameter int Slots    = 4,
  parameter int Credits  = 1,
  parameter int Reads    = 1,
  // As the memory holds them.
  parameter logic [Groups*((Channels+Pe-1)/Pe)*((Inputs+Simd-1)/Simd)*Pe*Simd-1:0] Rows = '0
) (
  input  logic                   clk_i,
  input  logic                   rst_ni,
  input  logic                   valid_i,
  output logic                   ready_o,
  input  logic [Simd*Width-1:0]  data_i,
  output logic                   valid_o,
  input  logic                   ready_i,
  output logic [(Pe+Totals)*SumWidth-1:0] data_o
);
  localparam int Depth = Groups * ((Inputs + Simd - 1) / Simd) * ((Channels + Pe - 1) / Pe);
  localparam int AddressWidth = Depth > 1 ? $clog2(Depth) : 1;

  logic [AddressWidth-1:0] row;
  logic [Pe*Simd-1:0] weights;
  logic [(Pe+Totals)*SumWidth-1:0] sums;
  logic valid, credit;

  hwbnn_delay_line #(
    .Width(Pe*Simd), .Stages(Reads)
  ) u_weights (
    .clk_i, .data_i(Rows[row*Pe*Simd +: Pe*Simd]), .data_o(weights)
  );

  hwbnn_dot_folded #(
    .Inputs(Inputs), .Channels(Channels), .Pe(Pe), .Simd(Simd), .Width(Width), .Signed(Signed),
    .SumWidth(SumWidth), .Levels(Levels), .Adders(Adders), .Serial(Serial), .Groups(Groups), .Totals(Totals),
    .Slots(Slots), .Credits(Credits),
    .AddressWidth(AddressWidth), .Reads(Reads)
  ) u_dot (
    .clk_i, .rst_ni, .valid_i, .ready_o, .data_i, .row_o(row), .weights_i(weights),
    .valid_o(valid), .data_o(sums), .credit_i(credit)
  );
  hwbnn_credit_fifo #(
    .Width((Pe + Totals) * SumWidth), .Credits(Credits)
  ) u_fifo (
    .clk_i, .rst_ni, .valid_i(valid), .data_i(sums), .valid_o, .ready_i, .data_o,
    .credit_o(credit)
  );
endmodule
