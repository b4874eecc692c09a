// SPDX-License-Identifier: Apache-2.0
// Each sum times a scale, plus the total times an offset, plus a constant; scales, offsets and
// constants are wires. The total, one for all lanes, stands above the lanes in the token. Each odd
// multiple of the total is formed once, and is shifted and complemented where a lane needs that (see
// multiple, also for the correction of complements). All is modulo 2^OutWidth. Runs free.
//
// Latency: ceil($clog2(the larger of Count and ScaleCount) / Levels) cycles, and ceil($clog2(3 with
// constants, else 2) / Levels).

module hwbnn_scaled_fixed #(
  parameter int Lanes      = 2,
  parameter int Width      = 3,     // bits of a sum and of the total
  parameter int OutWidth   = 8,
  parameter int Levels     = 2,     // levels of logic between two registers
  parameter int Multiples  = 1,     // different multiples of the total
  parameter int Count      = 1,     // terms of a multiple of the total
  parameter int ScaleCount = 1,     // terms of a multiple of a sum
  parameter bit Constant   = 1'b1,  // whether there are constants
  parameter logic [8*Count*Multiples-1:0] Terms      = '0,  // multiple by multiple
  parameter logic [8*ScaleCount*Lanes-1:0] ScaleTerms = '0,  // lane by lane, as all that follow
  parameter logic [16*Lanes-1:0] Which               = '0,  // which multiple
  parameter logic [8*Lanes-1:0] Shifts               = '0,  // how far it is shifted
  parameter logic [Lanes-1:0] Complements            = '0,
  parameter logic [OutWidth*Lanes-1:0] Constants     = '0
) (
  input  logic                       clk_i,
  input  logic                       rst_ni,

  input  logic                       valid_i,
  input  logic [(Lanes+1)*Width-1:0] data_i,

  output logic                       valid_o,
  output logic [Lanes*OutWidth-1:0]  data_o
);
  localparam int TotalStages = ($clog2(Count) + Levels - 1) / Levels;
  localparam int SumStages = ($clog2(ScaleCount) + Levels - 1) / Levels;
  localparam int Stages = TotalStages > SumStages ? TotalStages : SumStages;
  localparam int Addends = Constant ? 3 : 2;

  logic [Width-1:0] total;
  logic [Lanes*Width-1:0] sums;
  logic [Multiples*OutWidth-1:0] multiples;

  hwbnn_delay_line #(
    .Width(Width),
    .Stages(Stages - TotalStages)
  ) u_total (
    .clk_i,
    .data_i(data_i[Lanes*Width +: Width]),
    .data_o(total)
  );

  hwbnn_delay_line #(
    .Width(Lanes * Width),
    .Stages(Stages - SumStages)
  ) u_sums (
    .clk_i,
    .data_i(data_i[Lanes*Width-1:0]),
    .data_o(sums)
  );

  for (genvar k = 0; k < Multiples; k++) begin : gen_multiple
    hwbnn_multiple #(
      .Width(Width),
      .OutWidth(OutWidth),
      .Count(Count),
      .Levels(Levels),
      .Terms(Terms[8*Count*k +: 8*Count])
    ) u_multiple (
      .clk_i,
      .data_i(total),
      .data_o(multiples[k*OutWidth +: OutWidth])
    );
  end

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    logic [OutWidth-1:0] scaled, added;
    logic [Addends*OutWidth-1:0] addends;

    hwbnn_multiple #(
      .Width(Width),
      .OutWidth(OutWidth),
      .Count(ScaleCount),
      .Levels(Levels),
      .Terms(ScaleTerms[8*ScaleCount*l +: 8*ScaleCount])
    ) u_scaled (
      .clk_i,
      .data_i(sums[l*Width +: Width]),
      .data_o(scaled)
    );

    assign added = (multiples[Which[16*l +: 16]*OutWidth +: OutWidth] << Shifts[8*l +: 8])
      ^ {OutWidth{Complements[l]}};

    if (Constant) begin : gen_constant
      assign addends = {Constants[OutWidth*l +: OutWidth], added, scaled};
    end else begin : gen_none
      assign addends = {added, scaled};
    end

    hwbnn_sum_tree #(
      .Inputs(Addends),
      .Width(OutWidth),
      .SumWidth(OutWidth),
      .Levels(Levels)
    ) u_sum (
      .clk_i,
      .data_i(addends),
      .sum_o(data_o[l*OutWidth +: OutWidth])
    );
  end

  hwbnn_valid_line #(
    .Stages(Stages + ($clog2(Addends) + Levels - 1) / Levels)
  ) u_valid (
    .clk_i,
    .rst_ni,
    .valid_i,
    .valid_o
  );
endmodule
