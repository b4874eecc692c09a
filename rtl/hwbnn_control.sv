// SPDX-License-Identifier: Apache-2.0
// The control block of a core: it watches the streams at the border, counts, and shows what it has
// counted in registers on AXI4-Lite. It changes nothing in the core. The registers are described in
// control/hwbnn_control.rdl. A counter that is cleared in a cycle in which it counts becomes 1, so
// that no error is lost.

module hwbnn_control #(
  parameter logic [63:0] Build   = 64'h0,
  parameter logic [3:0]  Framing = 4'd0,
  parameter logic [3:0]  Result  = 4'd0,
  parameter int          Beats   = 1    // beats of a frame on m_axis
) (
  input  logic        clk_i,
  input  logic        rst_ni,

  input  logic        s_axis_tvalid,
  input  logic        s_axis_tready,
  input  logic        m_axis_tvalid,
  input  logic        m_axis_tready,
  input  logic        m_axis_tlast,
  input  logic        error_i,

  input  logic [11:0] s_axi_control_awaddr,
  input  logic [2:0]  s_axi_control_awprot,
  input  logic        s_axi_control_awvalid,
  output logic        s_axi_control_awready,
  input  logic [31:0] s_axi_control_wdata,
  input  logic [3:0]  s_axi_control_wstrb,
  input  logic        s_axi_control_wvalid,
  output logic        s_axi_control_wready,
  output logic [1:0]  s_axi_control_bresp,
  output logic        s_axi_control_bvalid,
  input  logic        s_axi_control_bready,
  input  logic [11:0] s_axi_control_araddr,
  input  logic [2:0]  s_axi_control_arprot,
  input  logic        s_axi_control_arvalid,
  output logic        s_axi_control_arready,
  output logic [31:0] s_axi_control_rdata,
  output logic [1:0]  s_axi_control_rresp,
  output logic        s_axi_control_rvalid,
  input  logic        s_axi_control_rready
);
  logic clear_error, clear_counters;
  logic result_moves, frame_leaves, packet_leaves, input_stalls, output_stalls;
  logic error_q;
  logic [31:0] errors_q, frames_q, input_stalls_q, output_stalls_q;
  logic [31:0] packet_q, packet_frames_q;  // frames of the packet that leaves, and of the one before

  assign result_moves = m_axis_tvalid && m_axis_tready;
  assign packet_leaves = result_moves && m_axis_tlast;
  assign input_stalls = s_axis_tvalid && !s_axis_tready;
  assign output_stalls = m_axis_tvalid && !m_axis_tready;

  // tlast ends a packet, which can hold several frames: the frames are counted by their beats.
  if (Beats == 1) begin : gen_single
    assign frame_leaves = result_moves;
  end else begin : gen_several
    localparam int CountWidth = $clog2(Beats);
    logic [CountWidth-1:0] count_q;

    assign frame_leaves = result_moves && count_q == CountWidth'(Beats - 1);

    always_ff @(posedge clk_i) begin
      if (!rst_ni) count_q <= '0;
      else if (result_moves) count_q <= frame_leaves ? '0 : count_q + 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      error_q <= 1'b0;
      errors_q <= '0;
      frames_q <= '0;
      input_stalls_q <= '0;
      output_stalls_q <= '0;
      packet_q <= '0;
      packet_frames_q <= '0;
    end else begin
      error_q <= error_i || (error_q && !clear_error);
      errors_q <= (clear_error ? '0 : errors_q) + 32'(error_i);
      frames_q <= (clear_counters ? '0 : frames_q) + 32'(frame_leaves);
      input_stalls_q <= (clear_counters ? '0 : input_stalls_q) + 32'(input_stalls);
      output_stalls_q <= (clear_counters ? '0 : output_stalls_q) + 32'(output_stalls);
      packet_q <= packet_leaves ? '0 : packet_q + 32'(frame_leaves);
      if (packet_leaves) packet_frames_q <= packet_q + 32'(frame_leaves);
    end
  end

  hwbnn_control_regs u_regs (
    .clk(clk_i),
    .rst_n(rst_ni),
    .s_axil_awready(s_axi_control_awready),
    .s_axil_awvalid(s_axi_control_awvalid),
    .s_axil_awaddr(s_axi_control_awaddr),
    .s_axil_awprot(s_axi_control_awprot),
    .s_axil_wready(s_axi_control_wready),
    .s_axil_wvalid(s_axi_control_wvalid),
    .s_axil_wdata(s_axi_control_wdata),
    .s_axil_wstrb(s_axi_control_wstrb),
    .s_axil_bready(s_axi_control_bready),
    .s_axil_bvalid(s_axi_control_bvalid),
    .s_axil_bresp(s_axi_control_bresp),
    .s_axil_arready(s_axi_control_arready),
    .s_axil_arvalid(s_axi_control_arvalid),
    .s_axil_araddr(s_axi_control_araddr),
    .s_axil_arprot(s_axi_control_arprot),
    .s_axil_rready(s_axi_control_rready),
    .s_axil_rvalid(s_axi_control_rvalid),
    .s_axil_rdata(s_axi_control_rdata),
    .s_axil_rresp(s_axi_control_rresp),
    .BUILD_HIGH_value_i(Build[63:32]),
    .BUILD_LOW_value_i(Build[31:0]),
    .CORE_framing_i(Framing),
    .CORE_result_i(Result),
    .STATUS_error_i(error_q),
    .CONTROL_clear_error_o(clear_error),
    .CONTROL_clear_counters_o(clear_counters),
    .ERRORS_count_i(errors_q),
    .FRAMES_count_i(frames_q),
    .PACKET_FRAMES_count_i(packet_frames_q),
    .INPUT_STALLS_count_i(input_stalls_q),
    .OUTPUT_STALLS_count_i(output_stalls_q)
  );
endmodule
