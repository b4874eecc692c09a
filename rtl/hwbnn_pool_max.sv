// SPDX-License-Identifier: Apache-2.0
// The largest, or the smallest, of Steps successive elements of each lane; the channel decides
// which. For bits these are OR and AND. A bit above each token says whether its elements count; at
// least one of Steps tokens must count. Runs free.
//
// Latency: 1 cycle from the last token of Steps.

module hwbnn_pool_max #(
  parameter int Lanes  = 1,
  parameter int Tokens = 1,     // results until the channels repeat
  parameter int Steps  = 4,     // tokens of a result
  parameter int Width  = 1,     // bits of an element
  parameter bit Signed = 1'b0,  // elements are two's complement
  parameter logic [Tokens*Lanes-1:0] Smallest = '0
) (
  input  logic                   clk_i,
  input  logic                   rst_ni,

  input  logic                   valid_i,
  input  logic [Lanes*Width:0]   data_i,

  output logic                   valid_o,
  output logic [Lanes*Width-1:0] data_o
);
  localparam logic [Width-1:0] Sign = Width'(Signed) << (Width - 1);

  logic [Lanes-1:0] smallest;
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

  hwbnn_row_rom #(
    .Width(Lanes),
    .Rows(Tokens),
    .Contents(Smallest)
  ) u_smallest (
    .clk_i,
    .rst_ni,
    .valid_i(valid_i && last),
    .row_o(smallest)
  );

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    // Keys are unsigned, the wanted element has the largest; one that does not count has the least.
    logic [Width-1:0] mask, key, so_far, best, best_q;

    assign mask = Sign ^ {Width{smallest[l]}};
    assign key = counts ? data_i[l*Width +: Width] ^ mask : '0;
    assign so_far = first ? '0 : best_q;
    assign best = key > so_far ? key : so_far;

    always_ff @(posedge clk_i) begin
      if (valid_i) best_q <= best;
      data_o[l*Width +: Width] <= best ^ mask;
    end
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
