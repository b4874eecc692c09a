// SPDX-License-Identifier: Apache-2.0
// The border where frames arrive on AXI4-Stream, one in each packet. Every packet gives exactly one
// frame of Beats tokens. A packet that ends too early is filled up with zero beats; the surplus beats
// of a packet that ends too late are dropped. In both cases error_o is high for one cycle, and the next
// packet is taken as if nothing had happened. tkeep is not read, since the layout
// of a frame is fixed. tready is low from the second cycle of reset to the first after it.

module hwbnn_axis_in #(
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

  output logic              error_o
);
  localparam int CountWidth = Beats > 1 ? $clog2(Beats) : 1;

`ifndef __ICARUS__  // which has no elaboration tasks
  if (Beat % 8 != 0 || Width > Beat) begin : gen_error
    $error("hwbnn_axis_in: Beat %0d must be a multiple of 8 that holds Width %0d", Beat, Width);
  end
`endif

  // Taking a packet; filling up the frame of a short one; dropping the rest of a long one.
  localparam logic [1:0] Take = 2'd0, Fill = 2'd1, Drop = 2'd2;

  logic [1:0] state_q, state_d;
  logic [CountWidth-1:0] count_q;
  logic awake_q, error_q, error;
  logic accept, push, has_room, last_beat;

  assign s_axis_tready = awake_q && (state_q == Drop || (state_q == Take && has_room));
  assign accept = s_axis_tvalid && s_axis_tready;
  assign push = (state_q == Take && accept) || (state_q == Fill && has_room);
  assign last_beat = count_q == CountWidth'(Beats - 1);

  always_comb begin
    state_d = state_q;
    error = 1'b0;
    if (state_q == Take && accept && last_beat != s_axis_tlast) begin
      state_d = last_beat ? Drop : Fill;
      error = 1'b1;
    end
    if (state_q == Fill && has_room && last_beat) state_d = Take;
    if (state_q == Drop && accept && s_axis_tlast) state_d = Take;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      awake_q <= 1'b0;
      state_q <= Take;
      count_q <= '0;
      error_q <= 1'b0;
    end else begin
      awake_q <= 1'b1;
      state_q <= state_d;
      error_q <= error;
      if (push) count_q <= last_beat ? '0 : count_q + 1'b1;
    end
  end

  assign error_o = error_q;

  hwbnn_stream_fifo #(
    .Width(Width),
    .Depth(2)
  ) u_fifo (
    .clk_i,
    .rst_ni,
    .valid_i(push),
    .ready_o(has_room),
    .data_i(state_q == Fill ? Width'(0) : s_axis_tdata[Width-1:0]),
    .valid_o,
    .ready_i,
    .data_o
  );

  logic unused_keep;
  assign unused_keep = ^s_axis_tkeep;

  if (Width < Beat) begin : gen_unused
    logic unused_data;
    assign unused_data = ^s_axis_tdata[Beat-1:Width];
  end
endmodule
