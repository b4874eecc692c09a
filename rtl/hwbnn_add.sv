// SPDX-License-Identifier: Apache-2.0
// Adds two streams: the sum of each pair of elements. With Repeat > 0 each token of b holds one
// element, which is added to all elements of Repeat successive tokens of a.
//
// Latency: 2 cycles from the later token of a pair.

module hwbnn_add #(
  parameter int Lanes   = 1,
  parameter int WidthA  = 4,  // bits of an element of a
  parameter int WidthB  = 4,
  parameter bit SignedA = 1'b1,
  parameter bit SignedB = 1'b1,
  parameter int Repeat  = 0,
  parameter int OutWidth = 5  // bits of a sum
) (
  input  logic                                     clk_i,
  input  logic                                     rst_ni,

  input  logic                                     a_valid_i,
  output logic                                     a_ready_o,
  input  logic [Lanes*WidthA-1:0]                  a_data_i,

  input  logic                                     b_valid_i,
  output logic                                     b_ready_o,
  input  logic [(Repeat > 0 ? 1 : Lanes)*WidthB-1:0] b_data_i,

  output logic                                     valid_o,
  input  logic                                     ready_i,
  output logic [Lanes*OutWidth-1:0]                data_o
);
  localparam int LanesB = Repeat > 0 ? 1 : Lanes;
  localparam int Wider = WidthA > WidthB ? WidthA : WidthB;
  localparam int Full = (Wider > OutWidth ? Wider : OutWidth) + 1;

  logic [Lanes*WidthA-1:0] a;
  logic [LanesB*WidthB-1:0] b;
  logic a_there, b_there, go, last, valid_q;

  hwbnn_stream_fifo #(
    .Width(Lanes * WidthA),
    .Depth(2)
  ) u_a (
    .clk_i,
    .rst_ni,
    .valid_i(a_valid_i),
    .ready_o(a_ready_o),
    .data_i(a_data_i),
    .valid_o(a_there),
    .ready_i(go),
    .data_o(a)
  );

  hwbnn_stream_fifo #(
    .Width(LanesB * WidthB),
    .Depth(2)
  ) u_b (
    .clk_i,
    .rst_ni,
    .valid_i(b_valid_i),
    .ready_o(b_ready_o),
    .data_i(b_data_i),
    .valid_o(b_there),
    .ready_i(go && last),
    .data_o(b)
  );

  assign go = (!valid_q || ready_i) && a_there && b_there;

  if (Repeat > 1) begin : gen_repeat
    localparam int CountWidth = $clog2(Repeat);
    logic [CountWidth-1:0] count_q;

    assign last = count_q == CountWidth'(Repeat - 1);

    always_ff @(posedge clk_i) begin
      if (!rst_ni) count_q <= '0;
      else if (go) count_q <= last ? '0 : count_q + 1'b1;
    end
  end else begin : gen_once
    assign last = 1'b1;
  end

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    localparam int K = Repeat > 0 ? 0 : l;
    logic [Full-1:0] x, y, sum;

    assign x = {{(Full-WidthA){SignedA && a[(l+1)*WidthA-1]}}, a[l*WidthA +: WidthA]};
    assign y = {{(Full-WidthB){SignedB && b[(K+1)*WidthB-1]}}, b[K*WidthB +: WidthB]};
    assign sum = x + y;

    always_ff @(posedge clk_i) begin
      if (go) data_o[l*OutWidth +: OutWidth] <= sum[OutWidth-1:0];
    end

    if (Full > OutWidth) begin : gen_unused
      logic unused_sum;
      assign unused_sum = ^sum[Full-1:OutWidth];
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= 1'b0;
    else valid_q <= go || (valid_q && !ready_i);
  end

  assign valid_o = valid_q;
endmodule
