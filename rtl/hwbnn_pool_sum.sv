// SPDX-License-Identifier: Apache-2.0
// The sum of Steps successive elements of each lane. A bit above each token says whether its
// elements count; the others add nothing. Runs free.
//
// Latency: 1 cycle from the last token of Steps.

module hwbnn_pool_sum #(
  parameter int Lanes    = 1,
  parameter int Steps    = 4,     // tokens of a result
  parameter int Width    = 1,     // bits of an element
  parameter bit Signed   = 1'b0,  // elements are two's complement
  parameter bit Bits     = 1'b1,  // elements are bits that stand for -1 and +1; then Width is 1
  parameter int OutWidth = 4      // bits of a sum
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,

  input  logic                      valid_i,
  input  logic [Lanes*Width:0]      data_i,

  output logic                      valid_o,
  output logic [Lanes*OutWidth-1:0] data_o
);
  localparam int Full = (OutWidth > Width ? OutWidth : Width) + 1;

  logic first, last, counts;

  assign counts = data_i[Lanes*Width];

  hwbnn_steps #(
    .Steps(Steps)
  ) u_steps (
    .clk_i,
    .rst_ni,
    .valid_i,
    .first_o(first),
    .last_o(last)
  );

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    logic [Width-1:0] x;
    logic [Full-1:0] value;
    logic [OutWidth-1:0] sum_q;

    assign x = data_i[l*Width +: Width];
    if (Bits) begin : gen_bits
      assign value = {{(Full-1){!x[0]}}, 1'b1};
    end else begin : gen_numbers
      assign value = {{(Full-Width){Signed && x[Width-1]}}, x};
    end

    always_ff @(posedge clk_i) begin
      if (valid_i) sum_q <= (first ? '0 : sum_q) + (counts ? value[OutWidth-1:0] : '0);
    end

    assign data_o[l*OutWidth +: OutWidth] = sum_q;

    logic unused_value;
    assign unused_value = ^value[Full-1:OutWidth];
  end

  hwbnn_valid_line #(
    .Stages(1)
  ) u_valid (
    .clk_i,
    .rst_ni,
    .valid_i(valid_i && last),
    .valid_o
  );
endmodule
