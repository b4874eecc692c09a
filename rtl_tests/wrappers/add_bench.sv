// An adder whose two streams come apart by a fork: a token holds one of a and above it one of b,
// which goes on with every Repeat-th token alone. Each stream is stalled in a pattern of its own.
module add_bench #(
  parameter int Lanes   = 1,
  parameter int WidthA  = 4,
  parameter int WidthB  = 4,
  parameter bit SignedA = 1'b1,
  parameter bit SignedB = 1'b1,
  parameter int Repeat  = 0,
  parameter int OutWidth = 5,
  parameter int BitsB = 4,
  parameter logic [31:0] Willing = '1  // by cycle modulo 16: a, above it b
) (
  input  logic                          clk_i,
  input  logic                          rst_ni,
  input  logic                          valid_i,
  output logic                          ready_o,
  input  logic [BitsB+Lanes*WidthA-1:0] data_i,
  output logic                          valid_o,
  input  logic                          ready_i,
  output logic [Lanes*OutWidth-1:0]     data_o
);
  localparam int Width = BitsB + Lanes * WidthA;

  logic [1:0] valid, ready;
  logic [2*Width-1:0] data;
  logic [3:0] cycle_q;
  logic [7:0] count_q;
  logic a_ready, b_ready, goes;

  always_ff @(posedge clk_i) cycle_q <= rst_ni ? cycle_q + 4'd1 : 4'd0;

  hwbnn_fork #(.Width(Width), .Branches(2), .Depths({32'd4, 32'd4})) u_fork (
    .clk_i, .rst_ni, .valid_i, .ready_o, .data_i, .valid_o(valid), .ready_i(ready), .data_o(data)
  );

  assign goes = Repeat < 2 || count_q == 8'(Repeat - 1);
  assign ready[0] = a_ready && Willing[{1'b0, cycle_q}];
  assign ready[1] = (b_ready || !goes) && Willing[{1'b1, cycle_q}];

  always_ff @(posedge clk_i) begin
    if (!rst_ni) count_q <= '0;
    else if (valid[1] && ready[1]) count_q <= goes ? '0 : count_q + 8'd1;
  end

  hwbnn_add #(
    .Lanes(Lanes), .WidthA(WidthA), .WidthB(WidthB), .SignedA(SignedA), .SignedB(SignedB),
    .Repeat(Repeat), .OutWidth(OutWidth)
  ) u_add (
    .clk_i, .rst_ni,
    .a_valid_i(valid[0] && Willing[{1'b0, cycle_q}]), .a_ready_o(a_ready),
    .a_data_i(data[Lanes*WidthA-1:0]),
    .b_valid_i(valid[1] && goes && Willing[{1'b1, cycle_q}]), .b_ready_o(b_ready),
    .b_data_i(data[Width + Lanes*WidthA +: BitsB]),
    .valid_o, .ready_i, .data_o
  );
endmodule
