// SPDX-License-Identifier: Apache-2.0
// A matrix product with integer weights of Pe channels times Simd inputs a cycle: dot_folded for
// weights of several bits. A vector of Inputs arrives as ceil(Inputs / Simd) tokens and is read
// ceil(Channels / Pe) times (see fold_control). Gives one token of Pe raw sums a pass.
//
// Ternary weights are -1, 0 and +1: the raw sums are those of masked_row over all steps, which
// exceed the sum of weight * u by a constant of the channel. Other weights are multiplied, or gated by
// bits of the input: the sums are those of weighted_row. A pass begins with Start, which is chosen so
// that no raw sum is negative. Lanes without an input, in the last token of a vector, may hold
// anything: their weights are 0.
//
// Serial takes one bit plane a cycle, the highest first: every pass goes over the tokens Width times
// and doubles its sums in between, Start too.
//
// The weights come from a memory outside: row (pass * ceil(Inputs / Simd) + token) of Pe * Simd *
// WeightWidth bits, channel by channel, group by group, Reads cycles after its address.
//
// Initiation interval: ceil(Inputs / Simd) * ceil(Channels / Pe) cycles, Width times as many if
// Serial. It needs enough Credits, and Slots for the tokens of two vectors (for 2 tokens where each is
// read once).
// Latency: from the last step of a pass to valid_o Reads + 1 cycles and those of masked_row or
// weighted_row over Simd, of Width 1 if Serial.

module hwbnn_weighted_folded #(
  parameter int Inputs      = 8,
  parameter int Channels    = 4,     // of a group
  parameter int Groups      = 1,     // vectors until the weights repeat
  parameter int Pe          = 2,     // channels at a time
  parameter int Simd        = 4,     // inputs at a time
  parameter int Width       = 1,     // bits of an input
  parameter bit Signed      = 1'b0,  // inputs are two's complement
  parameter int WeightWidth = 3,     // bits of a weight
  parameter int SumWidth    = 6,     // bits of a raw sum over all Inputs
  parameter int Levels      = 2,     // levels of logic between two registers
  parameter bit Ternary     = 1'b0,  // needs a WeightWidth of 2
  parameter bit Adders      = 1'b0,  // of masked_row, or Products of weighted_row
  parameter bit Dsp         = 1'b0,  // of weighted_row
  parameter bit Serial      = 1'b0,
  parameter logic [SumWidth-1:0] Start = '0,
  parameter int Slots       = 4,     // tokens of input that are kept
  parameter int Credits     = 1,
  parameter bit OnePerFrame  = 1'b0,
  parameter int AddressWidth = 2,    // of the rows of weights
  parameter int Reads       = 1      // cycles from row_o to weights_i
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,

  input  logic                    valid_i,
  output logic                    ready_o,
  input  logic [Simd*Width-1:0]   data_i,

  output logic [AddressWidth-1:0] row_o,
  input  logic [Pe*Simd*WeightWidth-1:0] weights_i,

  output logic                    valid_o,
  output logic [Pe*SumWidth-1:0]  data_o,
  input  logic                    credit_i
);
  localparam int Steps = (Inputs + Simd - 1) / Simd;
  localparam int Rounds = Serial ? Width : 1;
  localparam int RoundWidth = Rounds > 1 ? $clog2(Rounds) : 1;
  localparam int StepBits = Serial ? 1 : Width;
  localparam int InputLevels = ($clog2(Simd) + Levels - 1) / Levels;
  localparam int PlaneLevels = ($clog2(StepBits) + Levels - 1) / Levels;
  localparam int CountLevels = ($clog2((Simd + 5) / 6) + Levels) / Levels;
  localparam int Stages = !Ternary ? InputLevels + (Dsp ? 1 : PlaneLevels)
    : Adders ? InputLevels : CountLevels + PlaneLevels;

`ifndef __ICARUS__  // which has no elaboration tasks
  if (Simd > Inputs) begin : gen_simd_error
    $error("hwbnn_weighted_folded: Simd %0d is more than Inputs %0d", Simd, Inputs);
  end
  if (Pe > Channels) begin : gen_pe_error
    $error("hwbnn_weighted_folded: Pe %0d is more than Channels %0d", Pe, Channels);
  end
  if (Ternary && WeightWidth != 2) begin : gen_ternary_error
    $error("hwbnn_weighted_folded: Ternary weights of %0d bits, not 2", WeightWidth);
  end
`endif

  logic [Simd*Width-1:0] token;
  logic [RoundWidth-1:0] round;
  logic [Width*Simd-1:0] planes;
  logic [StepBits*Simd-1:0] read_planes, step_planes;
  logic unused_fresh;
  logic step, first, last, added, clear_added, double_added, last_added, valid_q;
  logic [2:0] flags;

  hwbnn_fold_control #(
    .Bits(Simd * Width),
    .Steps(Steps),
    .Passes((Channels + Pe - 1) / Pe),
    .Rounds(Rounds),
    .Groups(Groups),
    .Slots(Slots),
    .Credits(Credits),
    .OnePerFrame(OnePerFrame),
    .AddressWidth(AddressWidth)
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
    .first_o(first),
    .last_o(last),
    .fresh_o(unused_fresh),
    .credit_i
  );

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
    .Width(3),
    .Stages(Stages + Reads)
  ) u_flags (
    .clk_i,
    .data_i({first && round == '0, first && round != '0, last}),
    .data_o(flags)
  );

  assign {clear_added, double_added, last_added} = flags;

  for (genvar p = 0; p < Pe; p++) begin : gen_pe
    logic [SumWidth-1:0] sum, total_q, carried;

    if (Ternary) begin : gen_ternary
      hwbnn_masked_row #(
        .Inputs(Simd),
        .Width(StepBits),
        .SumWidth(SumWidth),
        .Levels(Levels),
        .Adders(Adders)
      ) u_row (
        .clk_i,
        .planes_i(step_planes),
        .weights_i(weights_i[p*Simd*2 +: Simd*2]),
        .sum_o(sum)
      );
    end else begin : gen_weighted
      hwbnn_weighted_row #(
        .Inputs(Simd),
        .Width(StepBits),
        .WeightWidth(WeightWidth),
        .SumWidth(SumWidth),
        .Levels(Levels),
        .Products(Adders),
        .Dsp(Dsp)
      ) u_row (
        .clk_i,
        .planes_i(step_planes),
        .weights_i(weights_i[p*Simd*WeightWidth +: Simd*WeightWidth]),
        .sum_o(sum)
      );
    end

    // Without Serial nothing is doubled, and the choice is no logic.
    assign carried = Rounds > 1 && double_added ? total_q << 1 : total_q;

    always_ff @(posedge clk_i) begin
      if (added) total_q <= sum + (clear_added ? Start : carried);
    end

    assign data_o[p*SumWidth +: SumWidth] = total_q;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= 1'b0;
    else valid_q <= added && last_added;
  end

  assign valid_o = valid_q;
endmodule
