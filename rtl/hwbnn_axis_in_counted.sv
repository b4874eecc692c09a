// SPDX-License-Identifier: Apache-2.0
// The border where frames arrive on AXI4-Stream and are told apart by counting alone: a frame is
// Beats beats, whatever tlast says. No input is an error; a source that leaves a beat out shifts
// all frames behind it, until reset. Otherwise like axis_in.

module hwbnn_axis_in_counted #(
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

  output logic              error_o  // never
);
  logic last_beat;

  if (Beats == 1) begin : gen_single
    assign last_beat = 1'b1;
  end else begin : gen_count
    localparam int CountWidth = $clog2(Beats);
    logic [CountWidth-1:0] count_q;

    assign last_beat = count_q == CountWidth'(Beats - 1);

    always_ff @(posedge clk_i) begin
      if (!rst_ni) count_q <= '0;
      else if (s_axis_tvalid && s_axis_tready) count_q <= last_beat ? '0 : count_q + 1'b1;
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
    .s_axis_tvalid(s_axis_tvalid),
    .s_axis_tready(s_axis_tready),
    .s_axis_tlast(last_beat),
    .valid_o,
    .ready_i,
    .data_o,
    .error_o(error_o)
  );

  logic unused_last;
  assign unused_last = s_axis_tlast;
endmodule
