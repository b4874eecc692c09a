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
  // Faults, by number in the plusarg.
  localparam int Sum = 1;
  localparam int BitOrder = 2;
  localparam int Tlast = 3;
  localparam int Tkeep = 4;
  localparam int UnusedBits = 5;
  localparam int Error = 6;
  localparam int Deadlock = 7;
  localparam int TokenLost = 8;
  localparam int TokenTwice = 9;
  localparam int ValidFalls = 10;
  localparam int DataChanges = 11;
  localparam int LeftBehind = 12;
  localparam int Assertion = 13;
  localparam int Unset = 14;

  int fault;
  initial if (!$value$plusargs("fault=%d", fault)) fault = 0;

  logic [15:0] x_q;
  logic half_q, full_q, sum_q;
  logic [4:0] ones_q;
  logic [7:0] frames_q;  // counts output frames, to break one of them

  assign s_axis_tready = !full_q;
  assign tap_x_valid = full_q;
  assign tap_x_ready = !sum_q;
  assign tap_x_data = x_q;
  assign tap_ones_valid = sum_q && !(fault == TokenLost && frames_q == 3);
  assign tap_ones_ready = m_axis_tready;
  assign tap_ones_data = ones_q;
  assign m_axis_tvalid = fault == Deadlock && frames_q == 3 ? 1'b0 : sum_q;
  assign m_axis_tdata = {3'(fault == UnusedBits && frames_q == 3), ones_q};
  assign m_axis_tlast = !(fault == Tlast && frames_q == 3);
  assign m_axis_tkeep = !(fault == Tkeep && frames_q == 3);
  assign error_o = fault == Error && frames_q == 3;

  logic [7:0] swapped;
  for (genvar i = 0; i < 8; i++) assign swapped[i] = s_axis_tdata[7-i];

  wire out = sum_q && m_axis_tready && m_axis_tvalid;
  always_ff @(posedge aclk) begin
    if (s_axis_tvalid && s_axis_tready) begin
      if (half_q) x_q[15:8] <= s_axis_tdata;
      else x_q[7:0] <= fault == BitOrder ? swapped : s_axis_tdata;
      half_q <= !half_q;
      full_q <= half_q;
    end
    if (tap_x_valid && tap_x_ready) begin
      full_q <= 1'b0;
      sum_q  <= 1'b1;
      ones_q <= 5'($countones(x_q)) + 5'(fault == Sum && frames_q == 3);
    end
    if (out) begin
      sum_q <= fault == TokenTwice && frames_q == 3;
      frames_q <= frames_q + 8'd1;
    end
    if (fault == Assertion && out && frames_q == 2) $fatal(1, "the third frame is refused");
    if (fault == ValidFalls && sum_q && !m_axis_tready) sum_q <= 1'b0;
    if (fault == DataChanges && sum_q && !m_axis_tready) ones_q <= ones_q + 5'd1;
    if (!aresetn) begin
      if (fault != LeftBehind || half_q === 1'bx) half_q <= 1'b0;
      full_q <= 1'b0;
      if (fault != Unset) sum_q <= 1'b0;
      frames_q <= '0;
    end
  end
endmodule
