// SPDX-License-Identifier: Apache-2.0
// A matrix product of Pe channels times Simd inputs a cycle. A vector of Inputs arrives as
// ceil(Inputs / Simd) tokens and is read in ceil(Channels / Pe) passes of Pe channels each; fold_control
// says in which order. Each pass gives one token of Pe raw sums (see dot_row). With Totals a token has
// one element more, the raw sum under weights that are all 1; the first pass forms it, the others
// repeat it.
//
// Simd need not divide Inputs, nor Pe Channels. The last token of a vector then has lanes without an
// input, which may hold anything: they are set to the number that counts nothing, and need weights of
// 1. The last pass then has channels that do not exist; their sums mean nothing.
//
// With Groups > 1 the vectors belong to the groups of channels in turn, and each group has weights of
// its own.
//
// Serial takes one bit plane a cycle, the highest first: every pass goes over the tokens Width times
// and doubles its sums in between.
//
// The weights come from a memory outside, Reads cycles after the address row_o: row (pass *
// ceil(Inputs / Simd) + token) of Pe * Simd bits, channel by channel, and group by group. The pipeline
// behind runs free: the last step of a pass waits for a credit, which stands for room for one result
// in the credit_fifo at the end. Where the pipeline makes one result of a whole frame, only the first
// pass waits (OnePerFrame).
//
// Initiation interval: ceil(Inputs / Simd) * ceil(Channels / Pe) cycles, Width times as many if
// Serial. It needs enough Credits, and Slots for the tokens of two vectors (for 2 tokens where each is
// read once).
// Latency: from the last step of a pass to valid_o Reads + 1 cycles and those of dot_row over Simd,
// of Width 1 if Serial.

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
  parameter int AddressWidth = 2, // of the rows of weights
  parameter int Reads        = 1   // cycles from row_o to weights_i
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
  // The input that counts nothing under a weight of 1: the smallest number (see bit_planes).
  localparam logic [Width-1:0] Nothing = Signed ? Width'(1) << (Width - 1) : '0;

`ifndef __ICARUS__  // which has no elaboration tasks
  if (Simd > Inputs) begin : gen_simd_error
    $error("hwbnn_dot_folded: Simd %0d is more than Inputs %0d", Simd, Inputs);
  end
  if (Pe > Channels) begin : gen_pe_error
    $error("hwbnn_dot_folded: Pe %0d is more than Channels %0d", Pe, Channels);
  end
`endif

  // ---- The tokens of a vector, and the steps in which they are read ----

  logic [Simd*Width-1:0] token;
  logic [RoundWidth-1:0] round;
  logic step, first_step, last_step, first_pass, first_round;

  hwbnn_fold_control #(
    .Bits(Simd * Width),
    .Steps(Steps),
    .Passes(Passes),
    .Rounds(Rounds),
    .Groups(Groups),
    .Slots(Slots),
    .Credits(Credits),
    .OnePerFrame(OnePerFrame),
    .AddressWidth(AddressWidth),
    .LastBits(LastLanes * Width),
    .Filler({Simd{Nothing}})
  ) u_control (
    .clk_i,
    .rst_ni,
    .valid_i,
    .ready_o,
    .data_i,
    .row_o,
    .round_o(round),
    .token_o(token),
    .step_o(step),
    .first_o(first_step),
    .last_o(last_step),
    .fresh_o(first_pass),
    .credit_i
  );

  assign first_round = round == '0;

  // ---- Products of one step, then their sum over a pass ----

  localparam int StepBits = Serial ? 1 : Width;
  localparam int Enough = $clog2(Simd + 1) + (StepBits > 1 ? StepBits : 0);
  localparam int StepSumWidth = Enough < SumWidth ? Enough : SumWidth;
  localparam int Stages = Adders ? ($clog2(Simd) + Levels - 1) / Levels
    : ($clog2((Simd + 5) / 6) + Levels) / Levels + ($clog2(StepBits) + Levels - 1) / Levels;

  logic [Width*Simd-1:0] planes;
  logic [StepBits*Simd-1:0] read_planes, step_planes;
  logic added, clear_added, double_added, first_added, last_added, valid_q;
  logic [3:0] flags;

  hwbnn_bit_planes #(
    .Inputs(Simd),
    .Width(Width),
    .Signed(Signed)
  ) u_planes (
    .data_i(token),
    .planes_o(planes)
  );

  if (Rounds > 1) begin : gen_serial
    logic [RoundWidth-1:0] plane_q;

    always_ff @(posedge clk_i) plane_q <= RoundWidth'(Width - 1) - round;
    assign read_planes = planes[plane_q*Simd +: Simd];
  end else begin : gen_parallel
    assign read_planes = planes;
  end

  // The token comes one cycle after the step, and waits here for its weights.
  hwbnn_delay_line #(
    .Width(StepBits * Simd),
    .Stages(Reads - 1)
  ) u_planes_read (
    .clk_i,
    .data_i(read_planes),
    .data_o(step_planes)
  );

  hwbnn_valid_line #(
    .Stages(Stages + Reads)
  ) u_valid (
    .clk_i,
    .rst_ni,
    .valid_i(step),
    .valid_o(added)
  );

  hwbnn_delay_line #(
    .Width(4),
    .Stages(Stages + Reads)
  ) u_flags (
    .clk_i,
    .data_i({first_step && first_round, first_step && !first_round, first_pass, last_step}),
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
