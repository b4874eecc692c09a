// SPDX-License-Identifier: Apache-2.0
// A matrix product of Pe channels times Simd inputs a cycle. A vector of Inputs arrives as
// ceil(Inputs / Simd) tokens and is read ceil(Channels / Pe) times, once for each group of channels;
// the first pass reads tokens as they arrive, the last one frees them. Gives one token of Pe raw sums
// (see dot_row) a pass; with Totals one element more, the raw sum under weights that are all 1, which
// the first pass forms and the others keep.
//
// Neither Simd nor Pe need divide: the last token of a vector may have more lanes than inputs left,
// which hold anything and are taken as 0 by weights of 1, so that they count nothing; the last pass
// may have more channels than are left, whose sums mean nothing.
//
// With Groups > 1 vectors are the inputs of one group of channels after the other, each with the
// weights of its own.
//
// Serial takes one bit plane a cycle, the highest first: every pass goes over the tokens Width times
// and doubles its sums in between.
//
// The weights come from a memory outside: row (pass * ceil(Inputs / Simd) + token) of Pe * Simd bits,
// channel by channel, group by group, in the cycle after its address. What follows runs free; a
// credit stands for one result in the credit_fifo at the end, and the last step of a pass waits for
// one; where the pipeline makes one result of a whole frame, only the first pass does (OnePerFrame).
//
// Initiation interval: ceil(Inputs / Simd) * ceil(Channels / Pe) cycles, Width times as many if
// Serial, if Slots holds the tokens of two vectors (or 2, if they are read once) and there are enough
// Credits.
// Latency: from the last step of a pass to valid_o 2 cycles and those of dot_row over Simd, of
// Width 1 if Serial.

module hwbnn_dot_folded #(
  parameter int Inputs   = 8,
  parameter int Channels = 4,     // of a group
  parameter int Pe       = 2,     // channels at a time
  parameter int Simd     = 4,     // inputs at a time
  parameter int Width    = 1,     // bits of an input
  parameter bit Signed   = 1'b0,  // inputs are two's complement
  parameter int SumWidth = 4,     // bits of a raw sum over all Inputs
  parameter int Levels   = 2,     // levels of logic between two registers
  parameter bit Adders   = 1'b0,  // of dot_row
  parameter bit Serial   = 1'b0,
  parameter int Groups   = 1,     // vectors until the weights repeat
  parameter int Totals   = 0,     // 1 gives the sum of the inputs too
  parameter int Slots    = 4,     // tokens of input that are kept
  parameter int Credits  = 1,
  parameter bit OnePerFrame  = 1'b0,
  parameter int AddressWidth = 2  // of the rows of weights
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,

  input  logic                    valid_i,
  output logic                    ready_o,
  input  logic [Simd*Width-1:0]   data_i,

  output logic [AddressWidth-1:0] row_o,
  input  logic [Pe*Simd-1:0]      weights_i,

  output logic                    valid_o,
  output logic [(Pe+Totals)*SumWidth-1:0] data_o,
  input  logic                    credit_i
);
  localparam int Steps = (Inputs + Simd - 1) / Simd;
  localparam int Passes = (Channels + Pe - 1) / Pe;
  localparam int LastLanes = Inputs - (Steps - 1) * Simd;  // inputs in the last token of a vector
  localparam int Rounds = Serial ? Width : 1;  // over the tokens in a pass
  localparam int RoundWidth = Rounds > 1 ? $clog2(Rounds) : 1;
  localparam int StepWidth = Steps > 1 ? $clog2(Steps) : 1;
  localparam int PassWidth = Passes > 1 ? $clog2(Passes) : 1;
  localparam int GroupWidth = Groups > 1 ? $clog2(Groups) : 1;
  localparam int SlotWidth = Slots > 1 ? $clog2(Slots) : 1;
  localparam int FillWidth = $clog2(Slots + 1);
  localparam int CreditWidth = $clog2(Credits + 1);
  localparam logic [SlotWidth-1:0] LastSlot = SlotWidth'(Slots - 1);
  // The input that counts nothing by a weight of 1: the smallest number (see bit_planes).
  localparam logic [Width-1:0] Nothing = Signed ? Width'(1) << (Width - 1) : '0;

`ifndef __ICARUS__  // which has no elaboration tasks
  if (Simd > Inputs) begin : gen_simd_error
    $error("hwbnn_dot_folded: Simd %0d is more than Inputs %0d", Simd, Inputs);
  end
  if (Pe > Channels) begin : gen_pe_error
    $error("hwbnn_dot_folded: Pe %0d is more than Channels %0d", Pe, Channels);
  end
  if (Passes * Rounds > 1 && Slots < Steps) begin : gen_slots_error
    $error("hwbnn_dot_folded: Slots %0d do not hold the %0d tokens of a vector", Slots, Steps);
  end
`endif

  // ---- The tokens of a vector, kept until the last pass has read them ----

  logic [Simd*Width-1:0] slots_q [0:Slots-1];
  logic [Simd*Width-1:0] token_q;
  logic [SlotWidth-1:0] write_q, read_q, base_q, read_next;
  logic [FillWidth-1:0] fill_q;   // tokens kept
  logic [FillWidth-1:0] fresh_q;  // those of them that no pass has read
  logic [StepWidth-1:0] step_q;
  logic [RoundWidth-1:0] round_q;
  logic [PassWidth-1:0] pass_q;
  logic [GroupWidth-1:0] group_q;
  logic [AddressWidth-1:0] row_q;
  logic [CreditWidth-1:0] credits_q;
  logic push, step, takes, first_step, last_step, first_round, last_round, first_pass, last_pass;
  logic fresh_round, freeing_round, last_group;

  assign ready_o = fill_q != FillWidth'(Slots);
  assign push = valid_i && ready_o;

  assign first_step = step_q == '0;
  assign last_step = step_q == StepWidth'(Steps - 1);
  assign first_pass = pass_q == '0;
  assign last_pass = pass_q == PassWidth'(Passes - 1);
  assign first_round = round_q == '0;
  assign last_round = round_q == RoundWidth'(Rounds - 1);
  assign fresh_round = first_pass && first_round;
  assign freeing_round = last_pass && last_round;
  assign last_group = group_q == GroupWidth'(Groups - 1);
  assign step = (!fresh_round || fresh_q != '0) && (!takes || credits_q != '0);
  assign takes = last_step && last_round && (first_pass || !OnePerFrame);
  assign read_next = read_q == LastSlot ? '0 : read_q + 1'b1;

  always_ff @(posedge clk_i) begin
    if (push) slots_q[write_q] <= data_i;
  end

  if (LastLanes == Simd) begin : gen_whole
    always_ff @(posedge clk_i) token_q <= slots_q[read_q];
  end else begin : gen_rest
    // A synchronous reset of the lanes without inputs: flip-flops have it for nothing.
    localparam int Used = LastLanes * Width;

    always_ff @(posedge clk_i) begin
      token_q[Used-1:0] <= slots_q[read_q][Used-1:0];
      if (last_step) token_q[Simd*Width-1:Used] <= {(Simd - LastLanes) {Nothing}};
      else token_q[Simd*Width-1:Used] <= slots_q[read_q][Simd*Width-1:Used];
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

  // ---- Products of one step, then their sum over a pass ----

  localparam int StepBits = Serial ? 1 : Width;
  localparam int Enough = $clog2(Simd + 1) + (StepBits > 1 ? StepBits : 0);
  localparam int StepSumWidth = Enough < SumWidth ? Enough : SumWidth;
  localparam int Stages = Adders ? ($clog2(Simd) + Levels - 1) / Levels
    : ($clog2((Simd + 5) / 6) + Levels) / Levels + ($clog2(StepBits) + Levels - 1) / Levels;

  logic [Width*Simd-1:0] planes;
  logic [StepBits*Simd-1:0] step_planes;
  logic added, clear_added, double_added, first_added, last_added, valid_q;
  logic [3:0] flags;

  hwbnn_bit_planes #(
    .Inputs(Simd),
    .Width(Width),
    .Signed(Signed)
  ) u_planes (
    .data_i(token_q),
    .planes_o(planes)
  );

  if (Rounds > 1) begin : gen_serial
    logic [RoundWidth-1:0] plane_q;

    always_ff @(posedge clk_i) plane_q <= RoundWidth'(Width - 1) - round_q;
    assign step_planes = planes[plane_q*Simd +: Simd];
  end else begin : gen_parallel
    assign step_planes = planes;
  end

  hwbnn_valid_line #(
    .Stages(Stages + 1)
  ) u_valid (
    .clk_i,
    .rst_ni,
    .valid_i(step),
    .valid_o(added)
  );

  hwbnn_delay_line #(
    .Width(4),
    .Stages(Stages + 1)
  ) u_flags (
    .clk_i,
    .data_i({
      first_step && first_round, first_step && !first_round, first_pass, last_step && last_round
    }),
    .data_o(flags)
  );

  assign {clear_added, double_added, first_added, last_added} = flags;

  if (Totals == 0) begin : gen_unused
    logic unused_first;
    assign unused_first = first_added;
  end

  for (genvar p = 0; p < Pe + Totals; p++) begin : gen_pe
    logic [Simd-1:0] weights;
    logic [StepSumWidth-1:0] sum;
    logic [SumWidth-1:0] total_q, carried;
    logic adds;

    if (p < Pe) begin : gen_channel
      assign weights = weights_i[p*Simd +: Simd];
      assign adds = added;
    end else begin : gen_total
      assign weights = '1;
      assign adds = added && first_added;
    end

    hwbnn_dot_row #(
      .Inputs(Simd),
      .Width(StepBits),
      .SumWidth(StepSumWidth),
      .Levels(Levels),
      .Adders(Adders),
      .Varying(p < Pe && Steps * Passes * Groups > 1)
    ) u_row (
      .clk_i,
      .planes_i(step_planes),
      .weights_i(weights),
      .sum_o(sum)
    );

    // Without Serial nothing is doubled, and the choice is no logic.
    assign carried = Rounds > 1 && double_added ? total_q << 1 : total_q;

    always_ff @(posedge clk_i) begin
      // The sum comes first: synthesis gives the first operand to carry cells as it is, while the
      // other may be any function.
      if (adds) total_q <= SumWidth'(sum) + (clear_added ? '0 : carried);
    end

    assign data_o[p*SumWidth +: SumWidth] = total_q;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= 1'b0;
    else valid_q <= added && last_added;
  end

  assign valid_o = valid_q;
endmodule
