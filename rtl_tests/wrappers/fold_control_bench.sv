// Every step as a token: what is read in it, beside its row, its round and whether it is the first of
// a round, the last of a pass or of the first pass. The last step of a pass gives its credit back some cycles later.
module fold_control_bench #(
  parameter int Bits   = 4,
  parameter int Steps  = 2,
  parameter int Passes = 2,
  parameter int Rounds = 1,
  parameter int Groups = 1,
  parameter int Slots  = 4,
  parameter int Credits = 1,
  parameter int Back = 3,
  parameter int AddressWidth = 2
) (
  input  logic                            clk_i,
  input  logic                            rst_ni,
  input  logic                            valid_i,
  output logic                            ready_o,
  input  logic [Bits-1:0]                 data_i,
  output logic                            valid_o,
  input  logic                            ready_i,
  output logic [AddressWidth+Bits+10:0]   data_o
);
  localparam int RoundWidth = Rounds > 1 ? $clog2(Rounds) : 1;

  logic [AddressWidth-1:0] row, row_q;
  logic [RoundWidth-1:0] round, round_q;
  logic step, first, last, fresh, first_q, last_q, fresh_q, credit;

  hwbnn_fold_control #(
    .Bits(Bits), .Steps(Steps), .Passes(Passes), .Rounds(Rounds), .Groups(Groups), .Slots(Slots),
    .Credits(Credits), .AddressWidth(AddressWidth)
  ) u_control (
    .clk_i, .rst_ni, .valid_i, .ready_o, .data_i, .row_o(row), .round_o(round),
    .token_o(data_o[Bits-1:0]), .step_o(step), .first_o(first), .last_o(last), .fresh_o(fresh),
    .credit_i(credit)
  );
  hwbnn_valid_line #(.Stages(1)) u_valid (.clk_i, .rst_ni, .valid_i(step), .valid_o);
  hwbnn_valid_line #(.Stages(Back)) u_back (.clk_i, .rst_ni, .valid_i(step && last), .valid_o(credit));

  always_ff @(posedge clk_i) begin
    row_q <= row;
    round_q <= round;
    first_q <= first;
    last_q <= last;
    fresh_q <= fresh;
  end

  assign data_o[Bits +: AddressWidth+11] = {row_q, 8'(round_q), first_q, last_q, fresh_q};

  logic unused_ready;
  assign unused_ready = ready_i;
endmodule
