// The same core with the port names that a high-level synthesis tool would give it: capitals, no
// tlast, no tkeep, no error.
module exported (
    input  logic       ap_clk,
    input  logic       ap_rst_n,
    input  logic [7:0] x_TDATA,
    input  logic       x_TVALID,
    output logic       x_TREADY,
    output logic [7:0] y_TDATA,
    output logic       y_TVALID,
    input  logic       y_TREADY
);
  hwbnn_trace u_core (
      .aclk(ap_clk),
      .aresetn(ap_rst_n),
      .s_axis_tdata(x_TDATA),
      .s_axis_tkeep(1'b1),
      .s_axis_tvalid(x_TVALID),
      .s_axis_tready(x_TREADY),
      .s_axis_tlast(1'b0),
      .m_axis_tdata(y_TDATA),
      .m_axis_tkeep(),
      .m_axis_tvalid(y_TVALID),
      .m_axis_tready(y_TREADY),
      .m_axis_tlast(),
      .error_o(),
      .tap_x_valid(),
      .tap_x_ready(),
      .tap_x_data(),
      .tap_ones_valid(),
      .tap_ones_ready(),
      .tap_ones_data()
  );
endmodule
