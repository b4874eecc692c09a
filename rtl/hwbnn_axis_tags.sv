// SPDX-License-Identifier: Apache-2.0
// Tags of frames (TID, TDEST, TUSER) past a core: the tag of a frame is what stands beside its
// first beat, what stands beside its other beats is not read, and every beat of its result bears
// it. It stands between the port and axis_in and watches axis_out. Where it has no room for
// another tag, the first beat of the next frame waits; Frames is large enough that this never
// happens before the core itself is full.

module hwbnn_axis_tags #(
  parameter int Width    = 1,     // bits of a tag
  parameter bit Counted  = 1'b0,  // a frame ends after Beats beats
  parameter bit Packets  = 1'b1,  // a frame ends with tlast
  parameter int Beats    = 1,     // beats of a frame on s_axis
  parameter int OutBeats = 1,     // beats of a frame on m_axis
  parameter int Frames   = 2      // frames whose tags it holds
) (
  input  logic             clk_i,
  input  logic             rst_ni,

  input  logic             s_axis_tvalid,
  output logic             s_axis_tready,
  input  logic             s_axis_tlast,
  input  logic [Width-1:0] tag_i,

  output logic             valid_o,  // to axis_in
  input  logic             ready_i,

  input  logic             m_axis_tvalid,
  input  logic             m_axis_tready,
  output logic [Width-1:0] tag_o
);
  logic first_q, has_room, may_enter, moves, last_beat, result_moves, result_ends, known;

  assign may_enter = !first_q || has_room;
  assign valid_o = s_axis_tvalid && may_enter;
  assign s_axis_tready = ready_i && may_enter;
  assign moves = s_axis_tvalid && s_axis_tready;
  assign result_moves = m_axis_tvalid && m_axis_tready;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) first_q <= 1'b1;
    else if (moves) first_q <= last_beat || (Packets && s_axis_tlast);
  end

  if (!Counted) begin : gen_uncounted
    assign last_beat = 1'b0;
  end else if (Beats == 1) begin : gen_single
    assign last_beat = 1'b1;
  end else begin : gen_count
    localparam int CountWidth = $clog2(Beats);
    logic [CountWidth-1:0] count_q;

    assign last_beat = count_q == CountWidth'(Beats - 1);

    always_ff @(posedge clk_i) begin
      if (!rst_ni) count_q <= '0;
      else if (moves) count_q <= last_beat || (Packets && s_axis_tlast) ? '0 : count_q + 1'b1;
    end
  end

  if (OutBeats == 1) begin : gen_single_result
    assign result_ends = 1'b1;
  end else begin : gen_result
    localparam int CountWidth = $clog2(OutBeats);
    logic [CountWidth-1:0] count_q;

    assign result_ends = count_q == CountWidth'(OutBeats - 1);

    always_ff @(posedge clk_i) begin
      if (!rst_ni) count_q <= '0;
      else if (result_moves) count_q <= result_ends ? '0 : count_q + 1'b1;
    end
  end

  hwbnn_stream_fifo #(
    .Width(Width),
    .Depth(Frames)
  ) u_fifo (
    .clk_i,
    .rst_ni,
    .valid_i(moves && first_q),
    .ready_o(has_room),
    .data_i(tag_i),
    .valid_o(known),
    .ready_i(result_moves && result_ends),
    .data_o(tag_o)
  );

`ifndef SYNTHESIS
  // A result leaves after its frame has come.
  always @(posedge clk_i) begin
    if (rst_ni && m_axis_tvalid && !known) begin
      $fatal(1, "hwbnn_axis_tags: a result has no tag");
    end
  end
`else
  logic unused_known;
  assign unused_known = known;
`endif

  if (!Packets) begin : gen_unused
    logic unused_last;
    assign unused_last = s_axis_tlast;
  end
endmodule
