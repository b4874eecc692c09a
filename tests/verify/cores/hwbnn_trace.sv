// A core small enough to read, for testing the benches: 16 bits in two beats of 8, their number of
// ones as one beat of 8. The plusarg "fault" breaks one thing, which the benches must catch.
module hwbnn_trace (
    input  logic        aclk,
    input  logic        aresetn,
    input  logic [ 7:0] s_axis_tdata,
    input  logic [ 0:0] s_axis_tkeep,
    input  logic        s_axis_tvalid,
    output logic        s_axis_tready,
    input  logic        s_axis_tlast,
    output logic [ 7:0] m_axis_tdata,
    output logic [ 0:0] m_axis_tkeep,
    output logic        m_axis_tvalid,
    input  logic        m_axis_tready,
    output logic        m_axis_tlast,
    output logic        error_o,
    output logic        tap_x_valid,
    output logic        tap_x_ready,
    output logic [15:0] tap_x_data,
    output logic        tap_ones_valid,
    output logic        tap_ones_ready,
    output logic [ 4:0] tap_ones_data
);
  string fault;
  initial if (!$value$plusargs("fault=%s", fault)) fault = "";

  logic [15:0] x_q;
  logic half_q, full_q, sum_q;
  logic [4:0] ones_q;
  logic [7:0] frames_q;  // counts output frames, to break one of them

  assign s_axis_tready = !full_q;
  assign tap_x_valid = full_q;
  assign tap_x_ready = !sum_q;
  assign tap_x_data = x_q;
  assign tap_ones_valid = sum_q && !(fault == "token lost" && frames_q == 3);
  assign tap_ones_ready = m_axis_tready;
  assign tap_ones_data = ones_q;
  assign m_axis_tvalid = fault == "deadlock" && frames_q == 3 ? 1'b0 : sum_q;
  assign m_axis_tdata = {3'(fault == "unused bits" && frames_q == 3), ones_q};
  assign m_axis_tlast = !(fault == "tlast" && frames_q == 3);
  assign m_axis_tkeep = !(fault == "tkeep" && frames_q == 3);
  assign error_o = fault == "error" && frames_q == 3;

  logic [7:0] swapped;
  for (genvar i = 0; i < 8; i++) assign swapped[i] = s_axis_tdata[7-i];

  wire out = sum_q && m_axis_tready && m_axis_tvalid;
  always_ff @(posedge aclk) begin
    if (s_axis_tvalid && s_axis_tready) begin
      if (half_q) x_q[15:8] <= s_axis_tdata;
      else x_q[7:0] <= fault == "bit order" ? swapped : s_axis_tdata;
      half_q <= !half_q;
      full_q <= half_q;
    end
    if (tap_x_valid && tap_x_ready) begin
      full_q <= 1'b0;
      sum_q  <= 1'b1;
      ones_q <= 5'($countones(x_q)) + 5'(fault == "sum" && frames_q == 3);
    end
    if (out) begin
      sum_q <= fault == "token twice" && frames_q == 3;
      frames_q <= frames_q + 8'd1;
    end
    if (fault == "valid falls" && sum_q && !m_axis_tready) sum_q <= 1'b0;
    if (fault == "data changes" && sum_q && !m_axis_tready) ones_q <= ones_q + 5'd1;
    if (!aresetn) begin
      if (fault != "left behind") half_q <= 1'b0;
      full_q <= 1'b0;
      sum_q <= 1'b0;
      frames_q <= '0;
    end
  end
endmodule
