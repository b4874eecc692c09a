// SPDX-License-Identifier: Apache-2.0
// The steps of a folded matrix product: keeps the tokens of a vector until its last pass has read
// them, and says in every cycle which token, which row of weights and which bit plane comes next.
//
// A vector arrives as Steps tokens and is read Passes times, or Passes * Rounds times where each
// pass takes one bit plane after the other. The first pass reads tokens as they arrive, the last one
// frees them. The rows of weights repeat after Groups vectors. The last step of a pass waits for a
// credit; where the pipeline behind makes one result of a whole frame, only that of the first pass
// waits (OnePerFrame).
//
// token_o comes in the cycle after step_o, as do the weights of row_o from a memory with a register. Of the last token of a vector only LastBits bits come from the input; Filler stands in
// place of the others.

module hwbnn_fold_control #(
  parameter int Bits   = 4,  // of a token
  parameter int Steps  = 2,  // tokens of a vector
  parameter int Passes = 2,
  parameter int Rounds = 1,
  parameter int Groups = 1,
  parameter int Slots  = 4,  // tokens that are kept
  parameter int Credits = 1,
  parameter bit OnePerFrame  = 1'b0,
  parameter int AddressWidth = 2,  // of the rows of weights
  parameter int LastBits = Bits,   // of the last token of a vector
  parameter logic [Bits-1:0] Filler = '0,
  parameter int RoundWidth = Rounds > 1 ? $clog2(Rounds) : 1
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,

  input  logic                    valid_i,
  output logic                    ready_o,
  input  logic [Bits-1:0]         data_i,

  output logic [AddressWidth-1:0] row_o,
  output logic [RoundWidth-1:0]   round_o,
  output logic [Bits-1:0]         token_o,
  output logic                    step_o,   // a step is taken in this cycle
  output logic                    first_o,  // it is the first of its round
  output logic                    last_o,   // it is the last of its pass
  output logic                    fresh_o,  // it belongs to the first pass
  input  logic                    credit_i
);
  localparam int StepWidth = Steps > 1 ? $clog2(Steps) : 1;
  localparam int PassWidth = Passes > 1 ? $clog2(Passes) : 1;
  localparam int GroupWidth = Groups > 1 ? $clog2(Groups) : 1;
  localparam int SlotWidth = Slots > 1 ? $clog2(Slots) : 1;
  localparam int FillWidth = $clog2(Slots + 1);
  localparam int CreditWidth = $clog2(Credits + 1);
  localparam logic [SlotWidth-1:0] LastSlot = SlotWidth'(Slots - 1);

`ifndef __ICARUS__  // which has no elaboration tasks
  if (Passes * Rounds > 1 && Slots < Steps) begin : gen_slots_error
    $error("hwbnn_fold_control: Slots %0d do not hold the %0d tokens of a vector", Slots, Steps);
  end
`endif

  logic [Bits-1:0] slots_q [0:Slots-1];
  logic [Bits-1:0] token_q;
  logic [SlotWidth-1:0] write_q, read_q, base_q, read_next;
  logic [FillWidth-1:0] fill_q;   // tokens kept
  logic [FillWidth-1:0] fresh_q;  // those of them that no pass has read
  logic [StepWidth-1:0] step_q;
  logic [RoundWidth-1:0] round_q;
  logic [PassWidth-1:0] pass_q;
  logic [GroupWidth-1:0] group_q;
  logic [AddressWidth-1:0] row_q;
  logic [CreditWidth-1:0] credits_q;
  logic push, step, takes, last_step, last_round, first_pass, last_pass;
  logic fresh_round, freeing_round, last_group;

  assign ready_o = fill_q != FillWidth'(Slots);
  assign push = valid_i && ready_o;

  assign last_step = step_q == StepWidth'(Steps - 1);
  assign first_pass = pass_q == '0;
  assign last_pass = pass_q == PassWidth'(Passes - 1);
  assign last_round = round_q == RoundWidth'(Rounds - 1);
  assign fresh_round = first_pass && round_q == '0;
  assign freeing_round = last_pass && last_round;
  assign last_group = group_q == GroupWidth'(Groups - 1);
  assign step = (!fresh_round || fresh_q != '0) && (!takes || credits_q != '0);
  assign takes = last_step && last_round && (first_pass || !OnePerFrame);
  assign read_next = read_q == LastSlot ? '0 : read_q + 1'b1;

  always_ff @(posedge clk_i) begin
    if (push) slots_q[write_q] <= data_i;
  end

  if (LastBits == Bits) begin : gen_whole
    always_ff @(posedge clk_i) token_q <= slots_q[read_q];
  end else begin : gen_filled
    // A synchronous set or reset: flip-flops have it without a LUT.
    always_ff @(posedge clk_i) begin
      token_q[LastBits-1:0] <= slots_q[read_q][LastBits-1:0];
      if (last_step) token_q[Bits-1:LastBits] <= Filler[Bits-1:LastBits];
      else token_q[Bits-1:LastBits] <= slots_q[read_q][Bits-1:LastBits];
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      write_q <= '0;
      read_q <= '0;
      base_q <= '0;
      fill_q <= '0;
      fresh_q <= '0;
      step_q <= '0;
      round_q <= '0;
      pass_q <= '0;
      group_q <= '0;
      row_q <= '0;
      credits_q <= CreditWidth'(Credits);
    end else begin
      if (push) write_q <= write_q == LastSlot ? '0 : write_q + 1'b1;
      fill_q <= fill_q + FillWidth'(push) - FillWidth'(step && freeing_round);
      fresh_q <= fresh_q + FillWidth'(push) - FillWidth'(step && fresh_round);
      credits_q <= credits_q + CreditWidth'(credit_i) - CreditWidth'(step && takes);
      if (step) begin
        step_q <= last_step ? '0 : step_q + 1'b1;
        if (!last_step) row_q <= row_q + 1'b1;
        else if (!last_round) row_q <= row_q - AddressWidth'(Steps - 1);
        else row_q <= last_pass && last_group ? '0 : row_q + 1'b1;
        read_q <= last_step && !freeing_round ? base_q : read_next;
        if (last_step) round_q <= last_round ? '0 : round_q + 1'b1;
        if (last_step && last_round) pass_q <= last_pass ? '0 : pass_q + 1'b1;
        if (last_step && freeing_round) begin
          base_q <= read_next;
          group_q <= last_group ? '0 : group_q + 1'b1;
        end
      end
    end
  end

  assign row_o = row_q;
  assign round_o = round_q;
  assign token_o = token_q;
  assign step_o = step;
  assign first_o = step_q == '0;
  assign last_o = last_step && last_round;
  assign fresh_o = first_pass;
endmodule
