// SPDX-License-Identifier: Apache-2.0
// For simulation only: sends recorded beats to a core and compares what comes out, beat by beat.
// Three runs, with a reset in front of each:
//   0  at full rate; the cycles of the first frames must be those predicted
//   1  with stalls, cut off by the next reset in the middle of a frame
//   2  with stalls, all of it: the frames that run 1 cut off must have left nothing behind
// The stalls come from a shift register with feedback, so that every simulator sees the same ones.
// tkeep of the input is all ones in run 0 and anything in the other runs: a core does not read it.
//
// The files are read from the folder in which the simulation runs. Each begins with the number of its build, which
// must be Build; `$readmemh` reads that line as a comment.
//   vectors/input.hex   a beat in each line: tlast, tdata
//   vectors/output.hex  a beat in each line: 2 if its data matter (they do not in a frame that the core had to fill
//                       up) plus 1 if tlast is high, tkeep, tdata
// One line begins with PASS, or with FAIL and the reason; FAIL ends by $fatal.

`timescale 1ns / 1ps

module hwbnn_bench #(
  parameter logic [63:0] Build = 64'h0,  // of the core and of the files
  parameter int InBeat   = 64,  // bits of s_axis_tdata
  parameter int OutBeat  = 64,  // bits of m_axis_tdata
  parameter int Sent     = 1,   // beats in input.hex
  parameter int Received = 1,   // beats in output.hex
  parameter int OutBeats = 1,   // beats of a frame on m_axis
  parameter int Errors   = 0,   // cycles in which error_o is high in a run
  parameter int Cut      = 1,   // beats after which run 1 is cut off
  parameter int Latency  = 1,   // cycles from the first beat taken to the last beat of the first frame
  parameter int Timed    = 1,   // frames at whose end the cycles are compared once more
  parameter int Ends     = 1,   // cycles from the first beat taken to the end of frame number Timed
  parameter int Patience = 1000 // cycles without a transfer after which a run is given up
) (
  output logic                 aclk,
  output logic                 aresetn,
  output logic [InBeat-1:0]    s_axis_tdata,
  output logic [InBeat/8-1:0]  s_axis_tkeep,
  output logic                 s_axis_tvalid,
  input  logic                 s_axis_tready,
  output logic                 s_axis_tlast,
  input  logic [OutBeat-1:0]   m_axis_tdata,
  input  logic [OutBeat/8-1:0] m_axis_tkeep,
  input  logic                 m_axis_tvalid,
  output logic                 m_axis_tready,
  input  logic                 m_axis_tlast,
  input  logic                 error_i,

  output logic                 done_o  // in the last cycle of the runs 0 and 2
);
  localparam int Keep = (OutBeat/8 + 3) / 4 * 4;  // bits of tkeep in whole hexadecimal digits
  localparam int Drain = 100;                     // cycles in which nothing else may come out

  logic [InBeat+3:0] sent [0:Sent-1];
  logic [OutBeat+Keep+3:0] wanted [0:Received-1];

  int run, cycle, waited, taken, given, errors, first, drained;
  logic [31:0] lfsr_q;
  logic [OutBeat+OutBeat/8:0] held_q;  // what m_axis offered while it was stalled
  logic stalled_q, source_go, sink_go;
  logic [3:0] reset_q;

  task automatic check_build(input logic [8*32-1:0] name);
    int file, found;
    logic [63:0] build;
    file = $fopen(name, "r");
    if (file == 0) begin
      $display("FAIL: %0s: not found; run the simulation in the folder sim", name);
      $fatal(1);
    end
    found = $fscanf(file, "// hwbnn vectors, build %h", build);
    $fclose(file);
    if (found != 1 || build !== Build) begin
      $display("FAIL: %0s: of build %h, the bench is of build %h; take both from one folder",
               name, build, Build);
      $fatal(1);
    end
  endtask

  initial begin
    check_build("vectors/input.hex");
    check_build("vectors/output.hex");
    $readmemh("vectors/input.hex", sent);
    $readmemh("vectors/output.hex", wanted);
    run = 0;
    lfsr_q = 32'h1badcafe;
    reset_q = 4'd0;
    aresetn = 1'b0;
    aclk = 1'b0;
    forever #5 aclk = ~aclk;
  end

  // Stalls: in turn both sides at random, the sink slow, the source slow, both rather fast.
  logic [1:0] mode;
  logic [7:0] go;  // source and sink, for each mode
  assign mode = cycle[7:6];
  assign go = {|lfsr_q[1:0], |lfsr_q[10:9], &lfsr_q[2:0], 1'b1, 1'b1, &lfsr_q[11:9], lfsr_q[0], lfsr_q[9]};
  assign {source_go, sink_go} = run == 0 ? 2'b11 : go[2*mode +: 2];

  // The data of a beat that is not valid are the complement of what comes next.
  logic [InBeat+3:0] beat;
  assign beat = taken < Sent ? sent[taken] : '0;
  assign s_axis_tdata = s_axis_tvalid ? beat[InBeat-1:0] : ~beat[InBeat-1:0];
  assign s_axis_tlast = s_axis_tvalid ? beat[InBeat] : ~beat[InBeat];
  assign s_axis_tkeep = run == 0 ? '1 : (InBeat/8)'({(InBeat/256 + 1){lfsr_q}});

  logic [OutBeat+Keep+3:0] want;
  logic in_moves, out_moves, whole;
  assign want = given < Received ? wanted[given] : '0;
  assign in_moves = s_axis_tvalid && s_axis_tready;
  assign out_moves = m_axis_tvalid && m_axis_tready;
  assign whole = taken == Sent && given == Received;
  assign done_o = aresetn && run != 1 && drained == Drain;

  always @(posedge aclk) begin
    lfsr_q <= {lfsr_q[30:0], lfsr_q[31] ^ lfsr_q[21] ^ lfsr_q[1] ^ lfsr_q[0]};
    if (!aresetn) begin
      {cycle, waited, taken, given, errors, first, drained} <= '0;
      {s_axis_tvalid, m_axis_tready, stalled_q} <= '0;
      held_q <= '0;
      reset_q <= reset_q + 1'b1;
      aresetn <= &reset_q;
    end else begin
      cycle <= cycle + 1;
      // The source: a beat that is offered stays until it is taken.
      if (in_moves) begin
        taken <= taken + 1;
        if (taken == 0) first <= cycle;
        s_axis_tvalid <= source_go && taken + 1 < Sent;
      end else if (!s_axis_tvalid) begin
        s_axis_tvalid <= source_go && taken < Sent;
      end
      m_axis_tready <= sink_go;

      // The sink.
      if ((m_axis_tvalid ^ s_axis_tready ^ error_i) === 1'bx) begin
        $display("FAIL: run %0d, cycle %0d: X on m_axis_tvalid, s_axis_tready or error_o", run, cycle);
        $fatal(1);
      end
      if (stalled_q && (!m_axis_tvalid || held_q !== {m_axis_tlast, m_axis_tkeep, m_axis_tdata})) begin
        $display("FAIL: run %0d, beat %0d of m_axis: changed while it was stalled", run, given);
        $fatal(1);
      end
      stalled_q <= m_axis_tvalid && !m_axis_tready;
      held_q <= {m_axis_tlast, m_axis_tkeep, m_axis_tdata};
      if (out_moves) begin
        given <= given + 1;
        if (given == Received) begin
          $display("FAIL: run %0d: more than %0d beats on m_axis", run, Received);
          $fatal(1);
        end
        if (m_axis_tlast !== want[OutBeat+Keep] || Keep'(m_axis_tkeep) !== want[OutBeat +: Keep]) begin
          $display("FAIL: run %0d, frame %0d, beat %0d: tlast %b, tkeep %h, expected %b, %h", run,
                   given / OutBeats, given % OutBeats, m_axis_tlast, m_axis_tkeep,
                   want[OutBeat+Keep], want[OutBeat +: Keep]);
          $fatal(1);
        end
        if (want[OutBeat+Keep+1] && m_axis_tdata !== want[OutBeat-1:0]) begin
          $display("FAIL: run %0d, frame %0d, beat %0d: tdata %h, expected %h", run,
                   given / OutBeats, given % OutBeats, m_axis_tdata, want[OutBeat-1:0]);
          $fatal(1);
        end
        if (run == 0 && given == OutBeats - 1 && cycle - first != Latency) begin
          $display("FAIL: the first frame took %0d cycles, expected %0d", cycle - first, Latency);
          $fatal(1);
        end
        if (run == 0 && given == Timed * OutBeats - 1 && cycle - first != Ends) begin
          $display("FAIL: frame %0d ended after %0d cycles, expected %0d", Timed - 1, cycle - first,
                   Ends);
          $fatal(1);
        end
      end
      if (error_i) errors <= errors + 1;

      // The end of a run.
      waited <= in_moves || out_moves ? 0 : waited + 1;
      if (waited > Patience && !whole) begin
        $display("FAIL: run %0d: no transfer for %0d cycles; %0d of %0d beats taken, %0d of %0d given",
                 run, Patience, taken, Sent, given, Received);
        $fatal(1);
      end
      if (run == 1 && taken >= Cut) begin
        $display("run 1: cut off by a reset after %0d beats in, %0d beats out", taken, given);
        run <= run + 1;
        aresetn <= 1'b0;
      end
      if (whole) drained <= drained + 1;
      if (drained == Drain) begin
        if (errors != Errors) begin
          $display("FAIL: run %0d: error_o high in %0d cycles, expected %0d", run, errors, Errors);
          $fatal(1);
        end
        $display("run %0d: %0d beats in, %0d beats out in %0d cycles, all as expected", run, taken,
                 given, cycle - first - Drain);
        $display("       error_o high in %0d cycles: packets of wrong lengths, sent on purpose", errors);
        run <= run + 1;
        aresetn <= 1'b0;
        if (run == 2) begin
          $display("PASS: build %h", Build);
          $finish;
        end
      end
    end
  end
endmodule
