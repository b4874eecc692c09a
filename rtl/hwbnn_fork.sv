// SPDX-License-Identifier: Apache-2.0
// Copies one stream to several readers, each behind a FIFO of its own, so one reader may lag behind
// the others by as many tokens as its FIFO holds. A token is taken when all FIFOs have room.

module hwbnn_fork #(
  parameter int Width    = 8,
  parameter int Branches = 2,
  // 32 bits a branch; 2 is the least that passes a token in every cycle
  parameter logic [32*Branches-1:0] Depths = {Branches{32'd2}}
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,

  input  logic                      valid_i,
  output logic                      ready_o,
  input  logic [Width-1:0]          data_i,

  output logic [Branches-1:0]       valid_o,
  input  logic [Branches-1:0]       ready_i,
  output logic [Branches*Width-1:0] data_o
);
  logic [Branches-1:0] room;

  assign ready_o = &room;

  for (genvar b = 0; b < Branches; b++) begin : gen_branch
    hwbnn_stream_fifo #(
      .Width(Width),
      .Depth(Depths[32*b +: 32])
    ) u_fifo (
      .clk_i,
      .rst_ni,
      .valid_i(valid_i && ready_o),
      .ready_o(room[b]),
      .data_i,
      .valid_o(valid_o[b]),
      .ready_i(ready_i[b]),
      .data_o(data_o[b*Width +: Width])
    );
  end
endmodule
