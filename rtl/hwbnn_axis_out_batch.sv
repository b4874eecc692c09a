// SPDX-License-Identifier: Apache-2.0
// The border where frames leave on AXI4-Stream in the packets in which they came: tlast is on the
// last beat of a frame with which its packet ended at axis_in_batch. The last beat of a frame waits
// until the last beat of its input was taken, which is known a cycle later; in nearly all networks it
// could not leave sooner anyway. Otherwise like axis_out: the last beat of each frame has its tkeep.

module hwbnn_axis_out_batch #(
  parameter int Beat     = 64,  // bits of tdata
  parameter int Width    = 64,  // bits of a token
  parameter int LastUsed = 64,  // the low bits of the last token that hold elements
  parameter int Beats    = 1,   // beats of a frame
  parameter int Frames   = 2    // frames of which it can know whether they end a packet
) (
  input  logic              clk_i,
  input  logic              rst_ni,

  input  logic              frame_valid_i,
  output logic              frame_ready_o,
  input  logic              frame_last_i,

  input  logic              valid_i,
  output logic              ready_o,
  input  logic [Width-1:0]  data_i,

  output logic [Beat-1:0]   m_axis_tdata,
  output logic [Beat/8-1:0] m_axis_tkeep,
  output logic              m_axis_tvalid,
  input  logic              m_axis_tready,
  output logic              m_axis_tlast
);
  logic known, ends_packet, ends_frame, may_leave, valid;

  hwbnn_stream_fifo #(
    .Width(1),
    .Depth(Frames)
  ) u_ends (
    .clk_i,
    .rst_ni,
    .valid_i(frame_valid_i),
    .ready_o(frame_ready_o),
    .data_i(frame_last_i),
    .valid_o(known),
    .ready_i(m_axis_tvalid && m_axis_tready && ends_frame),
    .data_o(ends_packet)
  );

  assign may_leave = known || !ends_frame;
  assign m_axis_tvalid = valid && may_leave;
  assign m_axis_tlast = ends_frame && ends_packet;

  hwbnn_axis_out #(
    .Beat(Beat),
    .Width(Width),
    .LastUsed(LastUsed),
    .Beats(Beats)
  ) u_frame (
    .clk_i,
    .rst_ni,
    .valid_i,
    .ready_o,
    .data_i,
    .m_axis_tdata,
    .m_axis_tkeep,
    .m_axis_tvalid(valid),
    .m_axis_tready(m_axis_tready && may_leave),
    .m_axis_tlast(ends_frame)
  );
endmodule
