// SPDX-License-Identifier: Apache-2.0
// The border where frames arrive on AXI4-Stream, any number of whole frames in a packet: a frame
// ends after Beats beats, and with the packet. A packet that ends within a frame is an error: that
// frame is filled up with zero beats, error_o is high for one cycle, and the next packet begins
// with a new frame. axis_out_batch is told of each frame whether the packet ends with
// it; while axis_out_batch has no room for that, no beat is taken. Otherwise like axis_in.

module hwbnn_axis_in_batch #(
  parameter int Beat  = 64,  // bits of tdata
  parameter int Width = 64,  // the low bits of tdata that carry elements
  parameter int Beats = 1    // beats of a frame
) (
  input  logic              clk_i,
  input  logic              rst_ni,

  input  logic [Beat-1:0]   s_axis_tdata,
  input  logic [Beat/8-1:0] s_axis_tkeep,
  input  logic              s_axis_tvalid,
  output logic              s_axis_tready,
  input  logic              s_axis_tlast,

  output logic              valid_o,
  input  logic              ready_i,
  output logic [Width-1:0]  data_o,

  output logic              frame_valid_o,  // in the cycle that takes the last beat of a frame
  input  logic              frame_ready_i,
  output logic              frame_last_o,   // the packet ends with it

  output logic              error_o
);
  logic last_beat, ends, ready;

  assign ends = last_beat || s_axis_tlast;
  assign s_axis_tready = ready && frame_ready_i;
  assign frame_valid_o = s_axis_tvalid && s_axis_tready && ends;
  assign frame_last_o = s_axis_tlast;

  if (Beats == 1) begin : gen_single
    assign last_beat = 1'b1;
  end else begin : gen_count
    localparam int CountWidth = $clog2(Beats);
    logic [CountWidth-1:0] count_q;

    assign last_beat = count_q == CountWidth'(Beats - 1);

    always_ff @(posedge clk_i) begin
      if (!rst_ni) count_q <= '0;
      else if (s_axis_tvalid && s_axis_tready) count_q <= ends ? '0 : count_q + 1'b1;
    end
  end

  hwbnn_axis_in #(
    .Beat(Beat),
    .Width(Width),
    .Beats(Beats)
  ) u_packet (
    .clk_i,
    .rst_ni,
    .s_axis_tdata,
    .s_axis_tkeep,
    .s_axis_tvalid(s_axis_tvalid && frame_ready_i),
    .s_axis_tready(ready),
    .s_axis_tlast(ends),
    .valid_o,
    .ready_i,
    .data_o,
    .error_o(error_o)
  );
endmodule
