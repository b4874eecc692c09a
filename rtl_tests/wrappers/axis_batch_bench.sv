// The two ends of the border for batches, one behind the other.
module axis_batch_bench #(
  parameter int Beat     = 64,
  parameter int Width    = 64,
  parameter int LastUsed = 64,
  parameter int Beats    = 1,
  parameter int Frames   = 2
) (
  input  logic              clk_i,
  input  logic              rst_ni,
  input  logic [Beat-1:0]   s_axis_tdata,
  input  logic [Beat/8-1:0] s_axis_tkeep,
  input  logic              s_axis_tvalid,
  output logic              s_axis_tready,
  input  logic              s_axis_tlast,
  output logic [Beat-1:0]   m_axis_tdata,
  output logic [Beat/8-1:0] m_axis_tkeep,
  output logic              m_axis_tvalid,
  input  logic              m_axis_tready,
  output logic              m_axis_tlast,
  output logic              error_o
);
  logic valid, ready, frame_valid, frame_ready, frame_last;
  logic [Width-1:0] data;

  hwbnn_axis_in_batch #(
    .Beat(Beat), .Width(Width), .Beats(Beats)
  ) u_in (
    .clk_i, .rst_ni, .s_axis_tdata, .s_axis_tkeep, .s_axis_tvalid, .s_axis_tready, .s_axis_tlast,
    .valid_o(valid), .ready_i(ready), .data_o(data),
    .frame_valid_o(frame_valid), .frame_ready_i(frame_ready), .frame_last_o(frame_last), .error_o
  );

  hwbnn_axis_out_batch #(
    .Beat(Beat), .Width(Width), .LastUsed(LastUsed), .Beats(Beats), .Frames(Frames)
  ) u_out (
    .clk_i, .rst_ni,
    .frame_valid_i(frame_valid), .frame_ready_o(frame_ready), .frame_last_i(frame_last),
    .valid_i(valid), .ready_o(ready), .data_i(data),
    .m_axis_tdata, .m_axis_tkeep, .m_axis_tvalid, .m_axis_tready, .m_axis_tlast
  );
endmodule
