// SPDX-License-Identifier: Apache-2.0
// The output border, AXI4-Stream: tlast on the last beat of each frame, tkeep on the bytes that
// hold its elements (on all bytes of the earlier beats), zeros in all unused bits. It adds no
// cycle; the stage in front must drive valid from registers.

module hwbnn_axis_out #(
  parameter int Beat     = 64,  // bits of tdata
  parameter int Width    = 64,  // bits of a token
  parameter int LastUsed = 64,  // the low bits of the last token that hold elements
  parameter int Beats    = 1    // beats of a frame
) (
  input  logic              clk_i,
  input  logic              rst_ni,

  input  logic              valid_i,
  output logic              ready_o,
  input  logic [Width-1:0]  data_i,

  output logic [Beat-1:0]   m_axis_tdata,
  output logic [Beat/8-1:0] m_axis_tkeep,
  output logic              m_axis_tvalid,
  input  logic              m_axis_tready,
  output logic              m_axis_tlast
);
  localparam logic [Beat-1:0] LastBits = Beat'({LastUsed{1'b1}});
  localparam logic [Beat/8-1:0] LastKeep = (Beat/8)'({((LastUsed + 7) / 8){1'b1}});

`ifndef __ICARUS__  // which has no elaboration tasks
  if (Beat % 8 != 0) begin : gen_beat_error
    $error("hwbnn_axis_out: Beat %0d is no multiple of 8", Beat);
  end
  if (Width > Beat || LastUsed > Width || LastUsed < 1) begin : gen_width_error
    $error("hwbnn_axis_out: Beat %0d, Width %0d, LastUsed %0d rise", Beat, Width, LastUsed);
  end
`endif

  assign m_axis_tvalid = valid_i;
  assign ready_o = m_axis_tready;

  if (Beats == 1) begin : gen_single
    logic unused_clk;
    assign unused_clk = clk_i ^ rst_ni;
    assign m_axis_tlast = 1'b1;
  end else begin : gen_count
    localparam int CountWidth = $clog2(Beats);
    logic [CountWidth-1:0] count_q;

    assign m_axis_tlast = count_q == CountWidth'(Beats - 1);

    always_ff @(posedge clk_i) begin
      if (!rst_ni) count_q <= '0;
      else if (valid_i && m_axis_tready) count_q <= m_axis_tlast ? '0 : count_q + 1'b1;
    end
  end

  assign m_axis_tdata = Beat'(data_i) & (m_axis_tlast ? LastBits : '1);
  assign m_axis_tkeep = m_axis_tlast ? LastKeep : '1;
endmodule
